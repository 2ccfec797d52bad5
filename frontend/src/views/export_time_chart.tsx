// What charts over time hand over.

import type { ReadonlySignal } from "@preact/signals";
import type { Column } from "../api";
import { chartSvg, type ChartWords, type SvgSize } from "../charts/chart_svg";
import { LEAST_WIDTH } from "../charts/svg_parts";
import type { ChartData } from "../model/chart";
import { lossChart, normChart } from "../state/chart_data";
import { stepsAsCsv } from "../state/export";
import { chosenLimit } from "../state/norm_limits";
import { clipRateChart, throttleChart, windowWords } from "../state/rate_charts";
import { isReport } from "../state/report";
import { axis, groupedRuns, plotWidth, theme, type ChartName } from "../state/signals";
import { ExportMenu } from "./export_menu";

interface Panel {
  readonly label: string;
  readonly title: () => string;
  readonly data: ReadonlySignal<ChartData>;
  readonly columns: readonly Column[];
  readonly dashes: () => ChartWords["dashes"];
}

/** Groups have one line each. */
function normDashes(): ChartWords["dashes"] {
  if (groupedRuns.value) return [{ label: "after clipping", dash: [] }];
  return [
    { label: "before clipping", dash: [1.5, 2.5] },
    { label: "after", dash: [] },
  ];
}

const PANELS: Readonly<Record<ChartName, Panel>> = {
  loss: {
    label: "Loss",
    title: () => "Loss",
    data: lossChart,
    columns: ["loss"],
    dashes: () => [],
  },
  norm: {
    label: "Gradient norm",
    title: () => "Gradient norm",
    data: normChart,
    columns: ["norm_before", "norm_after", "threshold", "coefficient", "clipped"],
    dashes: normDashes,
  },
  "clip-rate": {
    label: "Clip rate",
    title: () => `Clip rate: share of ${windowWords.value}, with its 95 % interval`,
    data: clipRateChart,
    columns: ["clip_rate"],
    dashes: () => [],
  },
  throttle: {
    label: "Throttle",
    title: () => `Throttle: share of gradient length removed over ${windowWords.value}`,
    data: throttleChart,
    columns: ["throttle"],
    dashes: () => [],
  },
};

const AXES = { step: "step", relative: "time since the start", wall_time: "time" } as const;
const HEIGHT = 260;

/** As wide as the charts on the page. */
export function pictureSize(): SvgSize {
  return { width: Math.max(Math.round(plotWidth.value) + 76, LEAST_WIDTH), height: HEIGHT };
}

export function ExportTimeChart({ chart }: { readonly chart: ChartName }) {
  const { label, title, data, columns, dashes } = PANELS[chart];
  const picture = (): string => {
    const limit = chart === "norm" ? chosenLimit.value : null;
    const words = { title: title(), axis: AXES[axis.value], dashes: dashes(), limit };
    return chartSvg(data.value, words, pictureSize(), theme.value);
  };
  const csv = isReport ? null : (): Promise<Blob> => stepsAsCsv(columns);
  return <ExportMenu name={chart} label={label} svg={picture} csv={csv} />;
}
