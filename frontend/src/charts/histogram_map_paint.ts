// Cells, axes and marks of one map of distributions over steps.

import {
  columnAt,
  heightOf,
  peakOf,
  shade,
  shareIn,
  SIDES,
  stepRange,
  ZERO_ROW,
  type Side,
} from "../model/histogram_map";
import { clamp } from "../model/ranges";
import { SCALES } from "../model/scales";
import type { HistogramMapData } from "./histogram_map_chart";
import { font } from "./paint";
import { tiled, type Pen } from "./svg_pen";

/** Where a map lies, in CSS pixels of the canvas. */
export interface MapArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Whether the vertical axis has labels on its left. */
  readonly labelled: boolean;
}

/** The maps of both sides, one in each area. */
export function paintMaps(context: Pen, areas: readonly MapArea[], data: HistogramMapData): void {
  const peak = peakOf(data.map);
  SIDES.forEach((side, i) => {
    const area = areas[i] as MapArea;
    paintGround(context, area, data);
    tiled(context, () => paintCells(context, area, side, data, peak));
    paintBroken(context, area, data);
    paintLimits(context, area, data);
    paintMarked(context, area, data);
    paintAxes(context, area, side, data);
  });
}

function paintGround(context: Pen, area: MapArea, { theme }: HistogramMapData): void {
  context.fillStyle = theme.grid;
  context.globalAlpha = 0.5;
  context.fillRect(area.left, area.top, area.width, area.height);
  context.globalAlpha = 1;
}

function paintCells(
  context: Pen,
  area: MapArea,
  side: Side,
  data: HistogramMapData,
  peak: number,
): void {
  const { map } = data;
  context.fillStyle = data.colour;
  for (let column = 0; column < map.steps; column++) {
    const [left, right] = columnEdges(area, map, column);
    for (let bin = -1; bin < map.bins; bin++) {
      const alpha = shade(shareIn(map, side, column, bin), peak);
      if (alpha === 0) continue;
      const [bottom, top] = binEdges(area, map, bin);
      context.globalAlpha = alpha;
      context.fillRect(left, top, right - left, bottom - top);
    }
  }
  context.globalAlpha = 1;
}

/** Edges on whole pixels: neighbours neither overlap nor leave a seam. */
export function columnEdges(
  area: MapArea,
  map: HistogramMapData["map"],
  column: number,
): readonly [number, number] {
  const range = stepRange(map);
  const at = (step: number): number =>
    Math.round(area.left + ((step - range[0]) / (range[1] - range[0])) * area.width);
  return [at(map.step[column] as number), at(map.step[column + 1] ?? range[1])];
}

function binEdges(
  area: MapArea,
  map: HistogramMapData["map"],
  bin: number,
): readonly [number, number] {
  const down = (height: number): number => Math.round(area.top + (1 - height) * area.height);
  if (bin < 0) return [down(0), down(ZERO_ROW)];
  return [
    down(heightOf(map, map.edges[bin] as number)),
    down(heightOf(map, map.edges[bin + 1] as number)),
  ];
}

/** A bar on top of steps with gradients that are NaN or infinite. */
function paintBroken(context: Pen, area: MapArea, { map, theme }: HistogramMapData): void {
  context.fillStyle = theme.error;
  map.before_nonfinite.forEach((share, column) => {
    if (!(share > 0)) return;
    const [left, right] = columnEdges(area, map, column);
    context.fillRect(left, area.top, Math.max(right - left, 1), 3);
  });
}

/** Where a rule on values cut at each step. */
function paintLimits(context: Pen, area: MapArea, { map, theme }: HistogramMapData): void {
  context.fillStyle = theme.accent;
  for (const limits of [map.low, map.high]) {
    limits.forEach((limit, column) => {
      if (!Number.isFinite(limit) || limit === 0) return;
      const [left, right] = columnEdges(area, map, column);
      const y = Math.round(area.top + (1 - heightOf(map, Math.abs(limit))) * area.height);
      context.fillRect(left, y - 0.625, right - left, 1.25);
    });
  }
}

function paintMarked(context: Pen, area: MapArea, { map, marked, theme }: HistogramMapData): void {
  if (marked === null || map.steps === 0) return;
  const [left, right] = columnEdges(area, map, columnAt(map, marked));
  context.strokeStyle = theme.ink;
  context.lineWidth = 1;
  context.beginPath();
  context.rect(left - 0.5, area.top - 0.5, Math.max(right - left, 2) + 1, area.height + 1);
  context.stroke();
}

function paintAxes(
  context: Pen,
  area: MapArea,
  side: Side,
  { map, theme }: HistogramMapData,
): void {
  context.font = font(11);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = theme.soft;
  context.fillText(side, area.left, area.top - 9);
  context.fillStyle = theme.faint;
  context.textAlign = "center";
  const range = stepRange(map);
  for (const { value, label } of SCALES.step.ticks(range, Math.max(2, area.width / 110))) {
    const x = area.left + ((value - range[0]) / (range[1] - range[0])) * area.width;
    const half = context.measureText(label).width / 2;
    const within = clamp(x, area.left + half - 8, area.left + area.width - half);
    context.fillText(label, within, area.top + area.height + 13);
  }
  if (!area.labelled) return;
  context.textAlign = "right";
  const bottom = area.top + area.height;
  context.fillText("0", area.left - 8, bottom - (ZERO_ROW / 2) * area.height);
  const [low, high] = [map.edges[0], map.edges[map.edges.length - 1]];
  if (low === undefined || high === undefined) return;
  for (const { value, label } of SCALES.log.ticks([low, high], area.height / 30)) {
    const y = area.top + (1 - heightOf(map, value)) * area.height;
    if (bottom - y > 24) context.fillText(label, area.left - 8, y);
  }
}
