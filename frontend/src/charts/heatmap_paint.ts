// What a heatmap draws: cells, names, steps and markers, on a canvas that shows the rows scrolled to.

import { BLANK, BROKEN } from "../model/heatmap";
import type { MarkerSeverity } from "../model/markers";
import type { Range } from "../model/ranges";
import { SCALES } from "../model/scales";
import type { Theme } from "../theme";
import { font } from "./paint";
import { tiled, type Pen } from "./svg_pen";

export interface HeatmapData {
  /** Of the rows, from top to bottom, and the place of each among the cells. */
  readonly names: readonly string[];
  readonly places: readonly number[];
  /** What the rows are chosen and sorted by: when that changes, one begins at the top again. */
  readonly order: string;
  readonly windows: number;
  /** First and last step of each window, ascending. */
  readonly first: ArrayLike<number>;
  readonly last: ArrayLike<number>;
  /** A level of the palette for each cell, place after place; below 0 for none. */
  readonly levels: Int16Array;
  readonly palette: readonly string[];
  readonly xRange: Range;
  readonly markers: readonly { readonly step: number; readonly severity: MarkerSeverity }[];
  /** The row of the picked parameter, or -1. */
  readonly picked: number;
}

/** In CSS pixels: the plot area, and the rows in it. */
export interface HeatmapLayout {
  readonly left: number;
  readonly width: number;
  readonly height: number;
  readonly rowHeight: number;
  readonly scrolled: number;
}

const ELLIPSIS = "…";

export function paintHeatmap(
  context: Pen,
  layout: HeatmapLayout,
  data: HeatmapData,
  theme: Theme,
): void {
  context.save();
  context.beginPath();
  context.rect(0, 0, layout.left + layout.width, layout.height);
  context.clip();
  tiled(context, () => paintRows(context, layout, data, theme));
  paintMarkers(context, layout, data, theme);
  context.restore();
  paintSteps(context, layout, data.xRange, theme);
}

/** Cells and names of the rows scrolled to. */
function paintRows(context: Pen, layout: HeatmapLayout, data: HeatmapData, theme: Theme): void {
  const { height, rowHeight, scrolled } = layout;
  const from = Math.floor(scrolled / rowHeight);
  const to = Math.min(data.names.length, Math.ceil((scrolled + height) / rowHeight));
  const spans = layOutWindows(layout, data);
  for (let row = from; row < to; row++) {
    const top = row * rowHeight - scrolled;
    const cells = (data.places[row] ?? 0) * data.windows;
    const name = data.names[row] ?? "";
    paintRow(context, spans, data, cells, top, rowHeight - 1, theme);
    paintName(context, layout, name, top + rowHeight / 2, row === data.picked, theme);
  }
}

/** Left and right edge of every window in the range, in pixels, half a step beyond its first and last. */
function layOutWindows(
  { left, width }: HeatmapLayout,
  { windows, first, last, xRange }: HeatmapData,
): readonly (readonly [window: number, from: number, to: number])[] {
  const scale = width / (xRange[1] - xRange[0]);
  const at = (step: number): number =>
    left + Math.min(Math.max((step - xRange[0]) * scale, 0), width);
  const result: (readonly [number, number, number])[] = [];
  for (let w = 0; w < windows; w++) {
    const [from, to] = [at((first[w] as number) - 0.5), at((last[w] as number) + 0.5)];
    if (to > from) result.push([w, from, Math.max(to, from + 0.5)]);
  }
  return result;
}

/** Neighbours of one level are one rectangle. */
function paintRow(
  context: Pen,
  spans: ReturnType<typeof layOutWindows>,
  { levels, palette }: HeatmapData,
  start: number,
  top: number,
  height: number,
  theme: Theme,
): void {
  for (let i = 0; i < spans.length; i++) {
    const [window, from, end] = spans[i] as (typeof spans)[number];
    const level = levels[start + window] ?? BLANK;
    let to = end;
    for (let next = spans[i + 1]; next; next = spans[i + 1]) {
      if (next[1] - to > 0.01 || (levels[start + next[0]] ?? BLANK) !== level) break;
      to = next[2];
      i++;
    }
    if (level === BLANK) continue;
    context.fillStyle = level === BROKEN ? theme.error : (palette[level] ?? "transparent");
    if (level === BROKEN) paintBroken(context, from, top, to - from, height);
    else context.fillRect(from, top, to - from + 0.3, height); // no seams between neighbours
  }
}

/** Striped: not one of the amounts, whatever the eyes. */
export function paintBroken(
  context: Pen,
  left: number,
  top: number,
  width: number,
  height: number,
): void {
  context.globalAlpha = 0.14;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 0.5;
  for (let x = Math.ceil(left / 6) * 6; x < left + width; x += 6) {
    context.fillRect(x, top, 1.5, height);
  }
  context.globalAlpha = 1;
}

function paintName(
  context: Pen,
  { left }: HeatmapLayout,
  name: string,
  middle: number,
  picked: boolean,
  theme: Theme,
): void {
  context.font = font(11, picked ? "600" : "");
  context.fillStyle = picked ? theme.ink : theme.faint;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillText(shortened(context, name, left - 12), left - 8, middle);
}

/** The end of a name tells parameters apart, so the start is cut. */
function shortened(context: Pen, name: string, room: number): string {
  if (context.measureText(name).width <= room) return name;
  let [fits, cut] = [name.length, 0];
  while (fits - cut > 1) {
    const middle = (cut + fits) >> 1;
    if (context.measureText(ELLIPSIS + name.slice(middle)).width <= room) fits = middle;
    else cut = middle;
  }
  return ELLIPSIS + name.slice(fits);
}

const GRAVITY: Readonly<Record<MarkerSeverity, number>> = { error: 0, warning: 1, info: 2 };
/** Hundreds of lines would hide the cells: of those nearer to each other than this, the gravest is drawn. */
const MARKERS_APART = 12;

function paintMarkers(
  context: Pen,
  { left, width, height }: HeatmapLayout,
  { markers, xRange }: HeatmapData,
  theme: Theme,
): void {
  const colours = { error: theme.error, warning: theme.warning, info: theme.soft };
  context.lineWidth = 1;
  context.setLineDash([3, 2]);
  const gravest = [...markers].sort((a, b) => GRAVITY[a.severity] - GRAVITY[b.severity]);
  const drawn: number[] = [];
  for (const { step, severity } of gravest) {
    const share = (step - xRange[0]) / (xRange[1] - xRange[0]);
    const x = Math.round(left + share * width) + 0.5;
    if (share < 0 || share > 1) continue;
    if (drawn.some((other) => Math.abs(other - x) < MARKERS_APART)) continue;
    drawn.push(x);
    context.strokeStyle = colours[severity];
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }
  context.setLineDash([]);
}

function paintSteps(
  context: Pen,
  { left, width, height }: HeatmapLayout,
  xRange: Range,
  theme: Theme,
): void {
  context.font = font(11);
  context.fillStyle = theme.faint;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, label } of SCALES.step.ticks(xRange, Math.max(2, width / 64))) {
    const x = left + ((value - xRange[0]) / (xRange[1] - xRange[0])) * width;
    context.fillText(label, x, height + 8);
  }
}
