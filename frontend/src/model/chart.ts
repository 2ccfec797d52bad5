// What the time charts draw, in values and not in pixels.

import type { HealthAlert, LossPoints } from "./health";
import type { Gap } from "./lines";
import type { Marked } from "./markers";
import type { ReadoutLine } from "./readout";
import { clamp, extent, mostExtent, padded, readableExtent, type Range } from "./ranges";
import type { ScaleName } from "./scales";

/**
 * More runs than these have thin lines, and bands without edges: thick ones would be a tangle, and stroking them takes
 * longer than all else in a chart.
 */
export const FEW_RUNS = 8;
/** A pixel: the one width that is drawn without working out the outline of the stroke. */
const THIN = 1;

export interface Line {
  readonly run: string;
  readonly colour: string;
  /** Ascending. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly width: number;
  /** Lengths of dash and gap in pixels; empty for a solid line. */
  readonly dash: readonly number[];
  readonly opacity: number;
  /** Whether the cursor puts a dot on this line. */
  readonly dotted: boolean;
  /** The values that the cursor's dot stands at and the tooltip says, where the line is smoothed or the middle of a band. */
  readonly said?: ReadoutLine;
}

/** How a line that was smoothed is drawn as it was, behind itself. */
export const RAW = { width: 1, dash: [], opacity: 0.25, dotted: false } as const;

export interface Band {
  readonly colour: string;
  /** Of a line around it, for bands whose spikes must not be missed. */
  readonly edge?: string;
  readonly x: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Width of a line, one of those of so many runs. */
export function widthAmong(runs: number, width: number): number {
  return runs > FEW_RUNS ? Math.min(width, THIN) : width;
}

export interface Threshold {
  /** Of one that changes, what it comes to where the range ends. */
  readonly value: number;
  readonly colour: string;
  readonly label: string;
  /** A line needs less contrast than letters do. */
  readonly labelColour: string;
  /** What it was over time, of one that changes; others run all across. */
  readonly line?: Line;
}

/** A threshold that somebody tries out, or may. */
export interface Limit extends Pick<Threshold, "value" | "label"> {
  /** What can be moved there, in words, and what a screen reader says of where it is. */
  readonly name?: string;
  readonly spoken?: string;
  /** Whether it only stands ready: then it has no line of its own. */
  readonly resting?: boolean;
}

export interface RunGap extends Gap {
  readonly colour: string;
}

/** Where a line leaves the vertical range: the row that lies furthest out of each stretch. */
export interface Beyond {
  readonly x: number;
  readonly above: boolean;
  readonly colour: string;
}

/** Where a later writer of a run went on, placed on the horizontal axis. */
export interface Seam {
  readonly x: number;
  readonly run: string;
  readonly colour: string;
}

/** An alert of one run, placed on the horizontal axis. */
export interface AlertItem extends Marked {
  readonly run: string;
  readonly colour: string;
  readonly step: number;
  readonly kind: HealthAlert["kind"];
  readonly finding: string | null;
  readonly message: string;
  readonly departures: readonly (readonly [string, number])[];
  /** How it went on, if that is not in its message. */
  readonly sequel: string | null;
  /** What it was computed from afterwards; null if it was told when it happened. */
  readonly source: LossPoints | null;
}

export interface ChartData {
  readonly lines: readonly Line[];
  readonly bands: readonly Band[];
  /** Ascending. */
  readonly thresholds: readonly Threshold[];
  readonly gaps: readonly RunGap[];
  readonly beyond: readonly Beyond[];
  readonly alerts: readonly AlertItem[];
  readonly seams?: readonly Seam[];
  readonly xRange: Range;
  readonly yRange: Range;
  /** What to say where there is nothing to draw; null where there is. */
  readonly note: string | null;
  readonly xScale: ScaleName;
  readonly yScale: ScaleName;
}

/** Rows inside the range and the next one outside on either side, which the line still runs towards. */
export function visibleRows(x: Float64Array, range: Range): readonly [number, number] {
  let from = 0;
  let to = x.length;
  while (from + 1 < to && (x[from + 1] as number) <= range[0]) from++;
  while (to - 1 > from && (x[to - 2] as number) >= range[1]) to--;
  return [from, to];
}

/** Whether any of the lines has something to draw in the range; rows outside draw only towards one that is further on. */
export function hasValues(lines: readonly Pick<Line, "x" | "y">[], xRange: Range): boolean {
  return lines.some(({ x, y }) => {
    const [from, to] = visibleRows(x, xRange);
    if ((x[from] as number) > xRange[1] || (x[to - 1] as number) < xRange[0]) return false;
    for (let i = from; i < to; i++) if (Number.isFinite(y[i])) return true;
    return false;
  });
}

/** Share of the height that is kept free under a threshold at the bottom, for its label. */
const ROOM_BELOW = 0.1;

/**
 * Vertical range of what is visible, of most of it only where `most` says so; `also` are thresholds, ascending, which
 * must show.
 */
export function verticalRange(
  lines: readonly Pick<Line, "x" | "y">[],
  xRange: Range,
  logarithmic: boolean,
  also: readonly number[] = [],
  most = false,
): Range {
  const parts = lines.map(({ x, y }) => y.subarray(...visibleRows(x, xRange)));
  const readable = (most ? mostExtent : readableExtent)(parts, logarithmic);
  const [low, high] = padded(extent([readable ?? [], also], logarithmic), logarithmic);
  const share = (value: number): number =>
    logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const lowest = also[0];
  if (lowest === undefined || share(lowest) > ROOM_BELOW) return [low, high];
  return [logarithmic ? low / (high / low) ** ROOM_BELOW : low - (high - low) * ROOM_BELOW, high];
}

/** Whether nothing under a marker was told when it happened. */
export function isComputed({ items }: { readonly items: readonly AlertItem[] }): boolean {
  return items.every((item) => item.source !== null);
}

/** Where visible rows lie above or below the vertical range; what is not finite lies nowhere. */
export function beyondRange(
  lines: readonly Pick<Line, "x" | "y" | "colour">[],
  xRange: Range,
  [low, high]: Range,
): Beyond[] {
  const result: Beyond[] = [];
  for (const { x, y, colour } of lines) {
    let furthest = -1; // row of the stretch that is under way
    const distance = (row: number): number =>
      Math.max(low - (y[row] ?? NaN), (y[row] ?? NaN) - high);
    const end = (): void => {
      if (furthest < 0) return;
      result.push({ x: x[furthest] as number, above: (y[furthest] as number) > high, colour });
      furthest = -1;
    };
    for (let row = 0; row < y.length; row++) {
      const at = x[row] as number;
      const out =
        at >= xRange[0] && at <= xRange[1] && distance(row) > 0 && Number.isFinite(y[row]);
      if (!out) end();
      else if (furthest < 0 || distance(row) > distance(furthest)) furthest = row;
    }
    end();
  }
  return result;
}

/** `position` as a share of the range, from 0 at its start to 1 at its end. */
export function shareOf(range: Range, position: number): number {
  return clamp((position - range[0]) / (range[1] - range[0]), -1, 2);
}
