// What lies over the lines of a time chart: thresholds, marker lines, and triangles where values are not finite.

import { isComputed, type AlertItem, type ChartData } from "../model/chart";
import type { Marker } from "../model/markers";
import { SCALES } from "../model/scales";
import type { Theme } from "../theme";
import type { Area } from "./plot";
import type { Pen } from "./svg_pen";

export const FONT_FAMILY = 'Roboto, system-ui, "Segoe UI", Helvetica, Arial, sans-serif';

/** Triangles nearer than this share a place. */
const TRIANGLE_SPACING = 7;
/** With more markers than this, only the lines of errors stay strong. */
const FEW_MARKERS = 10;
/** Seams that are drawn in full height. */
const FEW_SEAMS = 8;
const SEAM_FOOT = 8;
/** Runs whose bars lie side by side before the rest share a place. */
const MOST_ROWS = 5;

/** As a canvas is told it. */
export function font(size: number, weight = ""): string {
  return `${weight} ${size}px ${FONT_FAMILY}`.trim();
}

export function paintOver(
  context: Pen,
  area: Area,
  data: ChartData,
  theme: Theme,
  markers: readonly Marker<AlertItem>[],
): void {
  context.save();
  context.beginPath();
  context.rect(area.left, area.top - 2, area.width, area.height + 4);
  context.clip();
  paintThresholdLabels(context, area, data, theme);
  paintMarkerLines(context, area, markers, theme);
  paintGaps(context, area, data);
  paintBeyond(context, area, data);
  if (data.note !== null) paintNote(context, area, data.note, theme);
  context.restore();
}

function paintNote(context: Pen, area: Area, note: string, theme: Theme): void {
  context.font = font(11 * area.ratio);
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  const [x, y, width] = [
    area.left + area.width / 2,
    area.top + area.height / 2,
    context.measureText(note).width + 12 * area.ratio,
  ];
  context.fillStyle = theme.card; // a threshold may run right through the words
  context.fillRect(x - width / 2, y - 12 * area.ratio, width, 17 * area.ratio);
  context.fillStyle = theme.faint;
  context.fillText(note, x, y);
}

export function across(area: Area, data: ChartData, x: number): number {
  return area.left + ((x - data.xRange[0]) / (data.xRange[1] - data.xRange[0])) * area.width;
}

/** A line from top to bottom where a run was resumed, or of many only its foot. */
function paintSeams(context: Pen, area: Area, data: ChartData): void {
  const inside = (data.seams ?? []).filter(({ x }) => x >= data.xRange[0] && x <= data.xRange[1]);
  const bottom = area.top + area.height;
  const top = inside.length > FEW_SEAMS ? bottom - SEAM_FOOT * area.ratio : area.top;
  context.lineWidth = area.ratio;
  context.setLineDash([area.ratio, 2 * area.ratio]);
  for (const { x, colour } of inside) {
    const at = Math.round(across(area, data, x)) + 0.5;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(at, top);
    context.lineTo(at, bottom);
    context.stroke();
  }
  context.setLineDash([]);
}

/** Under the lines: a clipped norm runs exactly along its threshold. */
export function paintUnder(context: Pen, area: Area, data: ChartData): void {
  context.save();
  paintSeams(context, area, data);
  context.lineWidth = 1.25 * area.ratio;
  for (const { value, colour, line } of data.thresholds) {
    if (line) continue; // it is drawn as lines are
    const y = down(area, data, value);
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(area.left, y);
    context.lineTo(area.left + area.width, y);
    context.stroke();
  }
  context.restore();
}

/**
 * Labels hang below their lines, where clipping leaves room, or stand on them at the bottom of the chart. One that
 * would cover the previous is left out.
 */
function paintThresholdLabels(context: Pen, area: Area, data: ChartData, theme: Theme): void {
  const { ratio } = area;
  const edge = area.left + area.width - 3 * ratio;
  let free = Infinity;
  context.font = font(11 * ratio);
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  for (const { value, label, labelColour, line: changing } of data.thresholds) {
    const line = down(area, data, value);
    const top = line + (line + 16 * ratio > area.top + area.height ? -17 : 1) * ratio;
    if (top + 12 * ratio > free - 12 * ratio) continue;
    free = top + 12 * ratio;
    const width = context.measureText(label).width + 6 * ratio;
    const end = changing ? across(area, data, changing.x.at(-1) ?? NaN) : edge;
    const right = Math.max(Math.min(edge, end), area.left + width);
    context.globalAlpha = 0.85; // lines may run right through the letters
    context.fillStyle = theme.card;
    context.fillRect(right - width + 3 * ratio, top, width, 15 * ratio);
    context.globalAlpha = 1;
    context.fillStyle = labelColour;
    context.fillText(label, right, free);
  }
}

function paintMarkerLines(
  context: Pen,
  area: Area,
  markers: readonly Marker<AlertItem>[],
  theme: Theme,
): void {
  context.lineWidth = area.ratio;
  context.setLineDash([3 * area.ratio, 3 * area.ratio]);
  for (const marker of markers) {
    const { pixel, severity } = marker;
    const strong = severity === "error" || markers.length <= FEW_MARKERS;
    context.globalAlpha = (strong ? 0.75 : 0.22) * (isComputed(marker) ? 0.6 : 1);
    const x = Math.round(area.left + pixel * area.ratio) + 0.5;
    context.strokeStyle = severityColour(severity, theme);
    context.beginPath();
    context.moveTo(x, area.top);
    context.lineTo(x, area.top + area.height);
    context.stroke();
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

export function severityColour(severity: AlertItem["severity"], theme: Theme): string {
  return severity === "error" ? theme.error : severity === "warning" ? theme.warning : theme.faint;
}

export function down(area: Area, data: ChartData, value: number): number {
  const { project } = SCALES[data.yScale];
  const [low, high] = [project(data.yRange[0]), project(data.yRange[1])];
  return area.top + area.height * (1 - (project(value) - low) / (high - low));
}

/** NaN and +Inf stand on the top edge, -Inf on the bottom one; a bar says how long it lasted. */
function paintGaps(context: Pen, area: Area, data: ChartData): void {
  const size = 4 * area.ratio;
  const lastAt = new Map<string, number>();
  const rows: string[] = [];
  for (const { kind, from, to, colour } of data.gaps) {
    const [left, right] = [across(area, data, from), across(area, data, to)];
    if (right < area.left || left > area.left + area.width) continue;
    const bottom = kind === "-Inf";
    const inward = bottom ? -1 : 1;
    if (!rows.includes(colour)) rows.push(colour);
    const depth = (Math.min(rows.indexOf(colour), MOST_ROWS - 1) * 3 + 1) * area.ratio;
    const edge = (bottom ? area.top + area.height : area.top) + depth * inward;
    context.fillStyle = colour;
    context.fillRect(left, edge, Math.max(right - left, area.ratio), 2 * area.ratio * inward);
    const row = `${bottom} ${colour}`;
    if (left - (lastAt.get(row) ?? -Infinity) < TRIANGLE_SPACING * area.ratio) continue;
    lastAt.set(row, left);
    context.beginPath();
    context.moveTo(left, edge);
    context.lineTo(left - size, edge + 1.8 * size * inward);
    context.lineTo(left + size, edge + 1.8 * size * inward);
    context.fill();
  }
}

/** An open arrow at the edge where a line leaves the chart; one that would cover its neighbour is left out. */
function paintBeyond(context: Pen, area: Area, data: ChartData): void {
  const size = 3.5 * area.ratio;
  const lastAt = new Map<string, number>();
  context.lineWidth = 1.75 * area.ratio;
  for (const { x, above, colour } of [...data.beyond].sort((a, b) => a.x - b.x)) {
    const at = across(area, data, x);
    const row = `${above} ${colour}`;
    if (at - (lastAt.get(row) ?? -Infinity) < TRIANGLE_SPACING * area.ratio) continue;
    lastAt.set(row, at);
    const inward = above ? 1 : -1;
    const tip = (above ? area.top : area.top + area.height) + inward * area.ratio;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(at - size, tip + size * inward);
    context.lineTo(at, tip);
    context.lineTo(at + size, tip + size * inward);
    context.stroke();
  }
}
