// Distributions of many steps side by side: where the columns and rows of the map lie, and how dark its cells are.

import { clamp, extent, type Range } from "./ranges";

/** Rows of the matrices are steps. */
export interface MapData {
  readonly steps: number;
  readonly bins: number;
  readonly step: Float64Array;
  readonly edges: Float64Array;
  readonly before: Float64Array;
  readonly after: Float64Array;
  readonly before_zero: Float64Array;
  readonly after_zero: Float64Array;
}

export const SIDES = ["before", "after"] as const;
export type Side = (typeof SIDES)[number];

/** Share of the height that the row of zeros takes, and the gap above it. */
export const ZERO_ROW = 0.07;
export const ZERO_GAP = 0.03;

/** Steps from the first column's left edge to the last one's right edge: a column reaches until the next step. */
export function stepRange({ step }: Pick<MapData, "step">): Range {
  const first = step[0] ?? 0;
  const last = step[step.length - 1] ?? 0;
  const mean = step.length > 1 ? (last - first) / (step.length - 1) : 1;
  return [first, last + mean];
}

/** The column that holds `step`: the last one that begins at or before it, else the first; -1 of none. */
export function columnAt({ step }: Pick<MapData, "step">, wanted: number): number {
  let low = 0;
  let high = step.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((step[middle] as number) <= wanted) low = middle + 1;
    else high = middle;
  }
  return step.length === 0 ? -1 : Math.max(low - 1, 0);
}

/** Whether a column shows what holds at `step`, in a map that was asked for up to `end`; null for no end. */
export function isShown(map: Pick<MapData, "step">, step: number, end: number | null): boolean {
  const [first, last] = stepRange(map);
  return map.step.length > 0 && step >= first && step <= Math.max(last, end ?? -Infinity);
}

/** Height of a magnitude as a share of the map, 0 at its bottom: logarithmic above the row of zeros. */
export function heightOf({ edges }: Pick<MapData, "edges">, magnitude: number): number {
  const [low, high] = [edges[0], edges[edges.length - 1]];
  if (low === undefined || high === undefined || magnitude <= 0) return 0;
  const share = Math.log(magnitude / low) / Math.log(high / low);
  const floor = ZERO_ROW + ZERO_GAP;
  return floor + clamp(share, 0, 1) * (1 - floor);
}

/** The bin at a height; -1 for the row of zeros, null for the gap above it and where there are no bins. */
export function binAt(
  { bins, edges }: Pick<MapData, "bins" | "edges">,
  height: number,
): number | null {
  if (height < ZERO_ROW) return -1;
  const floor = ZERO_ROW + ZERO_GAP;
  if (height < floor || bins === 0) return null;
  const [low, high] = [edges[0] as number, edges[bins] as number];
  const magnitude = low * (high / low) ** ((height - floor) / (1 - floor));
  let bin = 0;
  while (bin + 1 < bins && (edges[bin + 1] as number) <= magnitude) bin++;
  return bin;
}

/** Share of the gradients of a column in a bin, -1 being the zeros. */
export function shareIn(map: MapData, side: Side, column: number, bin: number): number {
  const from = bin < 0 ? map[`${side}_zero`][column] : map[side][column * map.bins + bin];
  return from ?? NaN;
}

/**
 * The largest share of any bin before clipping, against which cells are shaded; after clipping, if nothing was there
 * before; 0 of no bins. Cutting piles values up at the limits, which would leave all the rest pale.
 */
export function peakOf({ before, after }: Pick<MapData, "before" | "after">): number {
  const largest = (side: Float64Array): number => extent([side])?.[1] ?? 0;
  return largest(before) || largest(after);
}

/** How dark a share is, 0 to 1: its root, so that tails a hundred times rarer still show. 0 for NaN. */
export function shade(share: number, peak: number): number {
  return share > 0 && peak > 0 ? Math.sqrt(Math.min(share / peak, 1)) : 0;
}
