// What the three time charts draw, derived from the signals.

import { computed } from "@preact/signals";
import type { Axis, Column, Run, Series } from "../api";
import {
  hasValues,
  verticalRange,
  type AlertItem,
  type ChartData,
  type Line,
  type Threshold,
} from "../model/chart";
import { number } from "../model/format";
import { alertLabel, alertPlural, isEvent, episodeWords } from "../model/health";
import { gaps, reordered, sortingOrder } from "../model/lines";
import { extent, prefersLog } from "../model/ranges";
import { smooth } from "../model/smoothing";
import {
  axis,
  colours,
  scales,
  selectedRuns,
  series,
  shownRange,
  smoothing,
  theme,
  unread,
} from "./signals";

export interface Points {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly step: Float64Array;
  readonly low: Float64Array | null;
  readonly high: Float64Array | null;
}

export type RunLines = ReadonlyMap<Column, Points>;

/** Lines of each selected run on the current axis. */
export const points = computed<ReadonlyMap<string, RunLines>>(() => {
  const result = new Map<string, RunLines>();
  for (const run of selectedRuns.value) {
    const lines = new Map<Column, Points>();
    for (const [column, one] of series.value.get(run.name)?.columns ?? []) {
      lines.set(column, onAxis(one, run, axis.value));
    }
    result.set(run.name, lines);
  }
  return result;
});

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
  const limits = thresholds();
  const values = limits.map((limit) => limit.value);
  return {
    ...frame("norm_before", [...before, ...after], normIsLog.value, () => NOTHING_FINITE, values),
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

/** Events of the selected runs on the current axis. */
export const alertItems = computed<readonly AlertItem[]>(() =>
  selectedRuns.value.flatMap((run) =>
    run.alerts.filter(isEvent).map((alert) => ({
      x: place(alert.step, alert.wall_time, run, axis.value),
      severity: alert.severity,
      label: alertLabel(alert),
      plural: alertPlural(alert.kind),
      run: run.name,
      colour: colourOf(run),
      step: alert.step,
      kind: alert.kind,
      message: alert.message,
      departures: alert.departures,
      sequel: episodeWords(alert),
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

function clipRateNote(): string {
  const clips = selectedRuns.value.some((run) => run.rule.kind !== "none");
  return clips ? "no step to count here" : "no selected run clips its gradients";
}

export function colourOf(run: Pick<Run, "name">): string {
  return colours.value.get(run.name) ?? theme.value.faint;
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
    note: hasValues(lines, xRange) ? null : (unread.value ?? note()),
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
  return run.nonfinite_steps === 0 && loss.y.every((value) => Number.isNaN(value));
}

/** Only a global norm's threshold lies on the scale of the norm chart; runs that share one share its line. */
function thresholds(): Threshold[] {
  const users = new Map<number, Run[]>();
  for (const run of selectedRuns.value) {
    const one = points.value.get(run.name)?.get("threshold");
    const value = one?.y[one.y.length - 1] ?? run.rule.threshold ?? NaN;
    if (run.rule.kind !== "global_norm" || !Number.isFinite(value)) continue;
    users.set(value, [...(users.get(value) ?? []), run]);
  }
  const ascending = [...users].sort(([a], [b]) => a - b);
  return ascending.map(([value, owners]) => ({
    value,
    colour: users.size === 1 || owners.length > 1 ? theme.value.accent : colourOf(owners[0] as Run),
    label: `threshold ${number(value)}`,
  }));
}

function onAxis(one: Series, run: Run, on: Axis): Points {
  const start = run.first_wall_time;
  const x =
    on === "step"
      ? one.step
      : on === "relative"
        ? one.wall_time.map((time) => time - start)
        : one.wall_time;
  const order = sortingOrder(x);
  const sorted = (values: Float64Array): Float64Array =>
    order ? reordered(values, order) : values;
  return {
    x: sorted(x),
    y: sorted(one.value),
    step: sorted(one.step),
    low: one.low && sorted(one.low),
    high: one.high && sorted(one.high),
  };
}

function place(step: number, wallTime: number, run: Run, on: Axis): number {
  if (on === "step") return step;
  return on === "relative" ? wallTime - run.first_wall_time : wallTime;
}
