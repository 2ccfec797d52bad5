// What the three time charts draw, derived from the signals.

import { computed } from "@preact/signals";
import type { Column, Run } from "../api";
import {
  hasValues,
  verticalRange,
  type AlertItem,
  type ChartData,
  type Line,
} from "../model/chart";
import { alertLabel, alertPlural, isMarked, episodeWords } from "../model/health";
import { gaps } from "../model/lines";
import { extent, prefersLog } from "../model/ranges";
import { smooth } from "../model/smoothing";
import { thresholds, zclipLines } from "./norm_limits";
import { colourOf, place, points, type Points } from "./points";
import { axis, scales, selectedRuns, series, shownRange, smoothing, theme } from "./signals";

export { colourOf, points, type Points } from "./points";

export const lossIsLog = computed(() => {
  const choice = scales.value.loss;
  if (choice !== "auto") return choice === "log";
  const ranges = selectedRuns.value.flatMap((r) => series.value.get(r.name)?.lossRange ?? []);
  return prefersLog(extent([ranges]));
});
export const normIsLog = computed(() => scales.value.norm !== "linear");

export const lossChart = computed<ChartData>(() => {
  const lines = linesOf("loss", { width: 1.6, smoothed: true });
  const log = lossIsLog.value;
  return {
    ...frame("loss", lines, log, lossNote),
    bands: [],
    thresholds: [],
  };
});

export const normChart = computed<ChartData>(() => {
  const before = linesOf("norm_before", {
    width: 1,
    dash: [1.5, 2.5],
    opacity: 0.65,
    smoothed: true,
    withRaw: false,
    dotted: false,
  });
  const after = linesOf("norm_after", { width: 1.4, smoothed: true });
  const lines = [...before, ...after, ...zclipLines.value];
  const limits = thresholds();
  const values = limits.map((limit) => limit.value);
  return {
    ...frame("norm_before", lines, normIsLog.value, () => NOTHING_FINITE, values),
    bands: [],
    thresholds: limits,
  };
});

export const clipRateChart = computed<ChartData>(() => {
  const clips = (run: Run): boolean => run.rule.kind !== "none";
  const bands = selectedRuns.value.filter(clips).flatMap((run) => {
    const one = points.value.get(run.name)?.get("clip_rate");
    if (!one?.low || !one.high) return [];
    const alpha = theme.value.dark ? "38" : "26";
    return [{ colour: colourOf(run) + alpha, x: one.x, low: one.low, high: one.high }];
  });
  return {
    ...frame(null, linesOf("clip_rate", { width: 1.6 }, clips), false, clipRateNote),
    bands,
    thresholds: [],
    yRange: [-0.04, 1.04],
    yScale: "share",
  };
});

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

/** While none of the selected runs has any line. */
const loading = computed(() => selectedRuns.value.every((run) => !series.value.has(run.name)));

const NOTHING_FINITE = "nothing finite here";

function lossNote(): string {
  const known = selectedRuns.value.flatMap((run) => {
    const loss = points.value.get(run.name)?.get("loss");
    return loss ? [notRecorded(loss, run)] : [];
  });
  return known.every(Boolean) ? "no loss recorded: pass it to writer.step(loss)" : NOTHING_FINITE;
}

function clipRateNote(): string {
  const clips = selectedRuns.value.some((run) => run.rule.kind !== "none");
  return clips ? "no step to count here" : "no selected run clips its gradients";
}

function frame(
  gapColumn: Column | null,
  lines: readonly Line[],
  log: boolean,
  note: () => string,
  also: readonly number[] = [],
): Omit<ChartData, "bands" | "thresholds"> {
  const xRange = shownRange.value;
  return {
    lines,
    gaps: gapColumn === null ? [] : gapsOf(gapColumn),
    alerts: alertItems.value,
    xRange,
    note: hasValues(lines, xRange) ? null : loading.value ? "reading…" : note(),
    yRange: verticalRange(lines, xRange, log, also),
    xScale: axis.value,
    yScale: log ? "log" : "linear",
  };
}

interface LineStyle {
  readonly width: number;
  readonly dash?: readonly number[];
  readonly opacity?: number;
  readonly smoothed?: boolean;
  readonly withRaw?: boolean;
  readonly dotted?: boolean;
}

function linesOf(
  column: Column,
  style: LineStyle,
  which: (run: Run) => boolean = () => true,
): Line[] {
  const { width, dash = [], opacity = 1, smoothed = false, withRaw = true, dotted = true } = style;
  const weight = smoothed ? smoothing.value : 0;
  const raw: Line[] = [];
  const main: Line[] = [];
  for (const run of selectedRuns.value.filter(which)) {
    const one = points.value.get(run.name)?.get(column);
    if (!one) continue;
    const common = { run: run.name, colour: colourOf(run), x: one.x };
    if (weight > 0 && withRaw) {
      raw.push({ ...common, y: one.y, width: 1, dash: [], opacity: 0.25, dotted: false });
    }
    main.push({ ...common, y: smooth(one.x, one.y, weight), width, dash, opacity, dotted });
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
