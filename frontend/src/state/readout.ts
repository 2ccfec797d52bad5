// What the tooltip says at the cursor.

import { computed } from "@preact/signals";
import type { Column } from "../api";
import { duration, integer, moment, number, percent, percentRange, plural } from "../model/format";
import { rowAt, sortedReadout, spokenWords, stepWords, type Readout } from "../model/readout";
import { groupLines, type GroupColumn } from "./group_lines";
import { colourOf, points, type Points } from "./points";
import { seams } from "./chart_data";
import { clips } from "./rate_charts";
import {
  axis,
  cursor,
  plotWidth,
  selectedRuns,
  shownRange,
  type ChartName,
  type OwnChart,
} from "./signals";

export interface ReadoutRow {
  readonly run: string;
  readonly colour: string;
  readonly value: number;
  readonly text: string;
  /** Said more quietly after the text: a confidence interval, and the steps of what is said where the title names another. */
  readonly detail: string;
}

const MOST_ROWS = 14;

/** Pixels from the cursor to a seam that it tells of. */
const NEAR = 4;

export const readout = computed<
  (Readout<ReadoutRow> & { readonly title: string; readonly resumed: readonly string[] }) | null
>(() => {
  const at = cursor.value;
  if (!at || !isTimeChart(at.chart)) return null;
  const say = SAY[at.chart];
  const titled = axis.value === "step" ? Math.round(at.x) : null;
  const grouped = groupRows(at.chart, at.x);
  const rows =
    grouped ??
    selectedRuns.value.flatMap((run): ReadoutRow[] => {
      const said = say(run.name, at.x);
      if (!said) return [];
      const { value, text, detail = "", steps } = said;
      const quiet = [detail, stepWords(steps, titled)].filter(Boolean).join(" · ");
      return [{ run: run.name, colour: colourOf(run), value, text, detail: quiet }];
    });
  return { ...sortedReadout(rows, MOST_ROWS), title: titleOf(at.x), resumed: resumedNear(at.x) };
});

/** What is said aloud where keys moved the cursor: a pointer moves too fast, and its user sees. */
export const spokenReadout = computed(() => {
  const now = cursor.value?.byKey ? readout.value : null;
  if (!now) return "";
  return spokenWords({
    ...now,
    shown: now.shown.map(({ run, text, detail }) => [run, text, detail].filter(Boolean).join(" ")),
  });
});

/** Runs that a later writer went on with about here, each once. */
function resumedNear(x: number): string[] {
  const [low, high] = shownRange.value;
  const reach = (NEAR * (high - low)) / Math.max(plotWidth.value, 1);
  const near = seams.value.filter((seam) => Math.abs(seam.x - x) <= reach);
  return [...new Set(near.map(({ run }) => run))];
}

const COLUMN_OF: Readonly<Record<ChartName, GroupColumn>> = {
  loss: "loss",
  norm: "norm_after",
  "clip-rate": "clip_rate",
  throttle: "throttle",
};

/** Mean, extremes and number of runs of every group; null where runs are not grouped. */
function groupRows(chart: ChartName, x: number): ReadoutRow[] | null {
  const groups = groupLines[COLUMN_OF[chart]].value;
  if (!groups) return null;
  const share = chart === "clip-rate" || chart === "throttle";
  return groups.flatMap((group): ReadoutRow[] => {
    const row = rowAt({ x: group.x, y: group.mean }, x);
    const [value, low, high] = [group.mean[row], group.low[row], group.high[row]];
    if (value === undefined || low === undefined || high === undefined) return [];
    if (!Number.isFinite(value)) return [];
    const range = share ? percentRange(low, high) : `${number(low)}–${number(high)}`;
    const runs = `${group.count[row] ?? 0} of ${plural(group.size, "run")}`;
    const steps =
      axis.value === "step" ? stepWords([Math.round(group.x[row] as number)], Math.round(x)) : "";
    return [
      {
        run: group.name,
        colour: group.colour,
        value,
        text: share ? percent(value) : number(value),
        detail: [range, runs, steps].filter(Boolean).join(" · "),
      },
    ];
  });
}

interface Said extends Pick<ReadoutRow, "value" | "text"> {
  readonly detail?: string;
  /** Where the values are from. */
  readonly steps: readonly number[];
}

const SAY: Readonly<Record<ChartName, (run: string, x: number) => Said | null>> = {
  loss(run, x) {
    const loss = find(run, "loss", x);
    return loss && { value: loss.value, text: number(loss.value), steps: [loss.step] };
  },
  // Of a long run each line has rows of its own: only those of one step are what clipping made of each other.
  norm(run, x) {
    const before = find(run, "norm_before", x);
    const after = find(run, "norm_after", x);
    if (!before || !after) return null;
    const { value } = before;
    const [was, is] = [number(value), number(after.value)];
    const limit = thresholdAt(run, before.line.x[before.row] as number);
    const detail = limit === null ? "" : `threshold ${number(limit)}`;
    if (before.step !== after.step) {
      const steps = [before.step, after.step];
      return { value, text: `${was} before\n${is} after`, detail, steps };
    }
    const changed = !Object.is(value, after.value);
    return { value, text: changed ? `${was} → ${is}` : was, detail, steps: [before.step] };
  },
  "clip-rate"(run, x) {
    const rate = find(run, "clip_rate", x);
    if (!isClipped(run) || !rate || !Number.isFinite(rate.value)) return null;
    const { value, line, row, step } = rate;
    const [low, high] = [line.low?.[row], line.high?.[row]];
    const detail = low === undefined || high === undefined ? "" : percentRange(low, high);
    return { value, text: percent(value), detail, steps: [step] };
  },
  throttle(run, x) {
    const share = find(run, "throttle", x);
    if (!isClipped(run) || !share || !Number.isFinite(share.value)) return null;
    return { value: share.value, text: percent(share.value), steps: [share.step] };
  },
};

function isTimeChart(chart: ChartName | OwnChart): chart is ChartName {
  return chart in SAY;
}

function isClipped(name: string): boolean {
  return selectedRuns.value.some((run) => run.name === name && clips(run));
}

interface Found {
  readonly line: Points;
  readonly row: number;
  readonly value: number;
  readonly step: number;
}

/** What a threshold of the joint norm was: of its rows the one before, as the chart draws it; null where it had none. */
function thresholdAt(name: string, x: number): number | null {
  const run = selectedRuns.value.find((one) => one.name === name);
  const found = run?.rule.kind === "global_norm" ? find(name, "threshold", x) : null;
  if (!found) return null;
  const { line, row } = found;
  const value = line.y[(line.x[row] as number) > x ? Math.max(row - 1, 0) : row] as number;
  return Number.isFinite(value) ? value : null;
}

function find(run: string, column: Column, x: number): Found | null {
  const line = points.value.get(run)?.get(column);
  const row = line ? rowAt(line, x) : -1;
  const [value, step] = [line?.y[row], line?.step[row]];
  return line && value !== undefined && step !== undefined ? { line, row, value, step } : null;
}

function titleOf(x: number): string {
  if (axis.value === "step") return `Step ${integer(Math.round(x))}`;
  return axis.value === "relative" ? duration(x) : moment(x);
}
