// What the charts of loss and norm draw, derived from the signals, and what all time charts have in common.

import { computed } from "@preact/signals";
import type { Column, Run } from "../api";
import {
  beyondRange,
  hasValues,
  RAW,
  verticalRange,
  widthAmong,
  type AlertItem,
  type Band,
  type ChartData,
  type Line,
  type Seam,
  type Threshold,
} from "../model/chart";
import { bandsOf, type Envelope } from "../model/envelope";
import { alertLabel, alertPlural, isMarked, episodeWords } from "../model/health";
import { gaps } from "../model/lines";
import { smooth } from "../model/smoothing";
import { thresholdsIn } from "../model/threshold_line";
import { drawnRanges } from "./drawn";
import { drawnGroups } from "./group_lines";
import { thresholds, zclipLines } from "./norm_limits";
import {
  colourOf,
  envelopes,
  lossIsLog,
  normIsLog,
  place,
  points,
  type Points,
  unread,
} from "./points";
import { axis, selectedRuns, shownRange, smoothing, spans, theme, type ChartName } from "./signals";

type Drawn = Pick<ChartData, "lines" | "bands">;

/** What says of a chart whether anything is missing. */
const COLUMNS: Readonly<Record<ChartName, Column>> = {
  loss: "loss",
  norm: "norm_before",
  "clip-rate": "clip_rate",
  throttle: "throttle",
};

export const lossChart = computed<ChartData>(() => {
  const log = lossIsLog.value;
  const { lines, bands } = drawnGroups("loss") ?? lossesOfRuns();
  const most = spans.value.loss === "most";
  return { ...frame("loss", lines, { log, most, note: lossNote, bands, marksGaps: true }), bands };
});

function lossesOfRuns(): Drawn {
  const around = envelopes.loss.value;
  return {
    lines: linesOf("loss", { width: 1.6, smoothed: true, envelopes: around }),
    bands: bandsOf(around, colourOf, theme.value.dark),
  };
}

export const normChart = computed<ChartData>(() => {
  const log = normIsLog.value;
  const drawn = drawnGroups("norm_after") ?? normsOfRuns();
  const [lines, bands] = [[...drawn.lines, ...zclipLines.value], drawn.bands];
  const style = {
    log,
    most: spans.value.norm === "most",
    note: () => NOTHING_FINITE,
    bands,
    thresholds: thresholds.value,
    marksGaps: true,
  };
  return { ...frame("norm", lines, style), bands };
});

function normsOfRuns(): Drawn {
  const { dark } = theme.value;
  const [around, inside] = [envelopes.norm_before.value, envelopes.norm_after.value];
  const before = linesOf("norm_before", {
    width: 1,
    dash: [1.5, 2.5],
    opacity: 0.9,
    smoothed: true,
    dotted: false,
    envelopes: around,
  });
  const after = linesOf("norm_after", { width: 1.4, smoothed: true, envelopes: inside });
  return {
    lines: [...before, ...after],
    bands: [...bandsOf(around, colourOf, dark), ...bandsOf(inside, colourOf, dark)],
  };
}

/** Events of the selected runs that charts mark, on the current axis. */
export const alertItems = computed<readonly AlertItem[]>(() =>
  selectedRuns.value.flatMap((run) =>
    run.alerts.filter(isMarked).map((alert) => ({
      ...alert,
      x: place(alert.step, alert.wall_time, run, axis.value),
      label: alertLabel(alert),
      plural: alertPlural(alert.kind),
      run: run.name,
      colour: colourOf(run),
      sequel: episodeWords(alert),
      source: alert.computed ? run.loss : null,
    })),
  ),
);

/** Where runs were resumed, on the current axis. */
export const seams = computed<readonly Seam[]>(() =>
  selectedRuns.value.flatMap((run) =>
    run.seams.map(({ step, wall_time }) => ({
      x: place(step, wall_time, run, axis.value),
      run: run.name,
      colour: colourOf(run),
    })),
  ),
);

const NOTHING_FINITE = "nothing finite here";

function lossNote(): string {
  const known = selectedRuns.value.flatMap((run) => {
    const loss = points.value.get(run.name)?.get("loss");
    return loss ? [notRecorded(loss, run)] : [];
  });
  return known.every(Boolean) ? "no loss recorded: pass it to writer.step(loss)" : NOTHING_FINITE;
}

interface FrameStyle {
  readonly log: boolean;
  /** Whether the vertical range leaves out what lies furthest out. */
  readonly most?: boolean;
  readonly note: () => string;
  readonly bands?: readonly Band[];
  readonly thresholds?: readonly Threshold[];
  /** Whether values that are not finite are marked. */
  readonly marksGaps?: boolean;
}

export function frame(
  chart: ChartName,
  lines: readonly Line[],
  { log, most = false, note, bands = [], thresholds = [], marksGaps = false }: FrameStyle,
): Omit<ChartData, "bands"> {
  const [column, xRange] = [COLUMNS[chart], drawnRanges[chart].value ?? shownRange.value];
  const sides = bands.flatMap(({ x, low, high, colour }) => [
    { x, y: low, colour: colour.slice(0, 7) },
    { x, y: high, colour: colour.slice(0, 7) },
  ]);
  const limits = thresholdsIn(thresholds, xRange);
  const also = limits.map(({ value }) => value);
  const drawn = [...lines, ...sides, ...limits.flatMap(({ line }) => line ?? [])];
  const yRange = verticalRange(drawn, xRange, log, also, most);
  return {
    lines,
    thresholds: limits,
    gaps: marksGaps ? gapsOf(column) : [],
    beyond: beyondRange(drawn, xRange, yRange),
    alerts: alertItems.value,
    seams: seams.value,
    xRange,
    note: hasValues(lines, xRange) ? null : (unread(column) ?? note()),
    yRange,
    xScale: axis.value,
    yScale: log ? "log" : "linear",
  };
}

export interface LineStyle {
  readonly width: number;
  readonly dash?: readonly number[];
  readonly opacity?: number;
  readonly smoothed?: boolean;
  readonly dotted?: boolean;
  /** Of reduced lines, by run: their middle is drawn, and the band around it stands for the raw line. */
  readonly envelopes?: ReadonlyMap<string, Envelope>;
}

export function linesOf(
  column: Column,
  style: LineStyle,
  which: (run: Run) => boolean = () => true,
): Line[] {
  const { dash = [], opacity = 1, smoothed = false, dotted = true } = style;
  const width = widthAmong(selectedRuns.value.length, style.width);
  const weight = smoothed ? smoothing.value : 0;
  const raw: Line[] = [];
  const main: Line[] = [];
  for (const run of selectedRuns.value.filter(which)) {
    const one = points.value.get(run.name)?.get(column);
    if (!one) continue;
    const middle = style.envelopes?.get(run.name);
    const [x, y] = middle ? [middle.x, middle.middle] : [one.x, one.y];
    const common = { run: run.name, colour: colourOf(run), x };
    if (weight > 0 && !middle) raw.push({ ...common, y, ...RAW });
    if (middle && middle.needles.x.length > 0) {
      main.push({ ...common, ...middle.needles, width, dash: [], opacity, dotted: false });
    }
    main.push({ ...common, y: smooth(x, y, weight), width, dash, opacity, dotted, said: one });
  }
  return [...raw, ...main];
}

function gapsOf(column: Column): ChartData["gaps"] {
  return selectedRuns.value.flatMap((run) => {
    const one = points.value.get(run.name)?.get(column);
    if (!one || (column === "loss" && notRecorded(one, run))) return [];
    return gaps(one.x, one.y).map((gap) => ({ ...gap, colour: colourOf(run) }));
  });
}

/** A run that was given no loss has NaN in every row, without any step counting as not finite. */
function notRecorded(loss: Points, run: Run): boolean {
  if (run.loss.tag !== null) return false;
  return run.nonfinite_steps === 0 && loss.y.every((value) => Number.isNaN(value));
}
