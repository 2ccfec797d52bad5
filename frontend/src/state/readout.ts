// What the tooltip says at the cursor.

import { computed } from "@preact/signals";
import type { Column } from "../api";
import { duration, integer, moment, number, percent, percentRange, plural } from "../model/format";
import { rowAt, sortedReadout, type Readout } from "../model/readout";
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
  /** Said more quietly after the text: a confidence interval. */
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
  const grouped = groupRows(at.chart, at.x);
  const rows =
    grouped ??
    selectedRuns.value.flatMap((run): ReadoutRow[] => {
      const said = say(run.name, at.x);
      return said ? [{ run: run.name, colour: colourOf(run), detail: "", ...said }] : [];
    });
  return { ...sortedReadout(rows, MOST_ROWS), title: titleOf(at.x), resumed: resumedNear(at.x) };
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
    return [
      {
        run: group.name,
        colour: group.colour,
        value,
        text: share ? percent(value) : number(value),
        detail: `${range} · ${runs}`,
      },
    ];
  });
}

type Said = Pick<ReadoutRow, "value" | "text"> & Partial<Pick<ReadoutRow, "detail">>;

const SAY: Readonly<Record<ChartName, (run: string, x: number) => Said | null>> = {
  loss(run, x) {
    const loss = find(run, "loss", x);
    return loss && { value: loss.value, text: number(loss.value) };
  },
  norm(run, x) {
    const before = find(run, "norm_before", x);
    const after = find(run, "norm_after", x);
    if (!before || !after) return null;
    const { value } = before;
    const changed = !Object.is(value, after.value);
    const text = number(value) + (changed ? ` → ${number(after.value)}` : "");
    const limit = thresholdAt(run, x);
    return { value, text, detail: limit === null ? "" : `threshold ${number(limit)}` };
  },
  "clip-rate"(run, x) {
    const rate = find(run, "clip_rate", x);
    if (!isClipped(run) || !rate || !Number.isFinite(rate.value)) return null;
    const { value, line, row } = rate;
    const [low, high] = [line.low?.[row], line.high?.[row]];
    const detail = low === undefined || high === undefined ? "" : percentRange(low, high);
    return { value, text: percent(value), detail };
  },
  throttle(run, x) {
    const share = find(run, "throttle", x);
    if (!isClipped(run) || !share || !Number.isFinite(share.value)) return null;
    return { value: share.value, text: percent(share.value) };
  },
};

function isTimeChart(chart: ChartName | OwnChart): chart is ChartName {
  return chart in SAY;
}

function isClipped(name: string): boolean {
  return selectedRuns.value.some((run) => run.name === name && clips(run));
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

function find(
  run: string,
  column: Column,
  x: number,
): { readonly line: Points; readonly row: number; readonly value: number } | null {
  const line = points.value.get(run)?.get(column);
  const row = line ? rowAt(line, x) : -1;
  const value = line?.y[row];
  return line && value !== undefined ? { line, row, value } : null;
}

function titleOf(x: number): string {
  if (axis.value === "step") return `Step ${integer(Math.round(x))}`;
  return axis.value === "relative" ? duration(x) : moment(x);
}
