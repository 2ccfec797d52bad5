// A threshold over time, as stairs: what it was at a step holds until the next one.

import type { Line, Threshold } from "./chart";
import type { Range } from "./ranges";

/** Points of a line that runs level and upright only; NaN where there is no threshold. */
export type Stairs = Pick<Line, "x" | "y">;

/** The one finite value of all rows; null of rows that differ, of rows without a threshold, and of none. */
export function constantOf(y: ArrayLike<number>): number | null {
  const first = y[0];
  if (first === undefined || !Number.isFinite(first)) return null;
  for (let i = 1; i < y.length; i++) if (y[i] !== first) return null;
  return first;
}

/**
 * The stairs through the rows of a threshold, whose `x` ascends: from each row level to the next one, and upright there.
 * Rows that change nothing take no points. Where a row is not finite the stairs end, and they begin anew at the next
 * one that is. They reach from the first row to the last.
 */
export function stairsOf(x: ArrayLike<number>, y: ArrayLike<number>): Stairs {
  const points: (readonly [x: number, y: number])[] = [];
  let before = NaN;
  for (let i = 0; i < y.length; i++) {
    const value = y[i] as number;
    const [at, now] = [x[i] as number, Number.isFinite(value) ? value : NaN];
    if (Object.is(now, before)) continue;
    if (!Number.isNaN(before)) points.push([at, before]);
    points.push([at, now]);
    before = now;
  }
  const [end, last] = [x[y.length - 1] ?? NaN, points.at(-1)];
  if (last && !Number.isNaN(before) && last[0] < end) points.push([end, before]);
  return {
    x: Float64Array.from(points, ([at]) => at),
    y: Float64Array.from(points, ([, value]) => value),
  };
}

export function areSame(a: Stairs, b: Stairs): boolean {
  if (a.x.length !== b.x.length) return false;
  return a.x.every((x, i) => x === b.x[i] && Object.is(a.y[i], b.y[i]));
}

/** Thresholds, ascending by what they come to where the range ends; without those that have no part in it. */
export function thresholdsIn(thresholds: readonly Threshold[], range: Range): Threshold[] {
  const shown = thresholds.map((one) =>
    one.line ? { ...one, value: endIn(one.line, range) } : one,
  );
  return shown.filter(({ value }) => Number.isFinite(value)).sort((a, b) => a.value - b.value);
}

/** The last finite value at or before the end of the range, of what reaches into it; NaN if nothing does. */
function endIn({ x, y }: Stairs, [from, to]: Range): number {
  if (!((x.at(-1) ?? NaN) >= from)) return NaN;
  let row = x.length - 1;
  while (row >= 0 && (x[row] as number) > to) row--;
  while (row > 0 && Number.isNaN(y[row]) && (x[row] as number) >= from) row--;
  return y[row] ?? NaN;
}
