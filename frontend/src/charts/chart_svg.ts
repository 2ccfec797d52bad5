// A time chart as an SVG document: what the canvas draws, and what only the page around it says: title, runs, dashes.

import type { AlertItem, ChartData, Limit, Line } from "../model/chart";
import { layoutMarkers, type Marker } from "../model/markers";
import { SCALES } from "../model/scales";
import type { Theme } from "../theme";
import { across, down, font, paintOver, paintUnder, severityColour } from "./paint";
import type { Area } from "./plot";
import { drawLines } from "./svg_lines";
import { documentOf, drawPage, drawTitle, label, stroke } from "./svg_parts";
import { SvgPen, type Pen } from "./svg_pen";

interface Entry {
  readonly name: string;
  readonly colour: string;
}

export interface ChartWords {
  readonly title: string;
  /** What the horizontal axis measures. */
  readonly axis: string;
  /** What lines drawn in some way are. */
  readonly dashes: readonly { readonly label: string; readonly dash: readonly number[] }[];
  /** What lines are, where that is not the name of their run. */
  readonly legend?: readonly Entry[];
  /** A threshold that is tried out. */
  readonly limit?: Limit | null;
}

export interface SvgSize {
  /** Of all of it. */
  readonly width: number;
  /** Of the plot with its axes, without title and legend. */
  readonly height: number;
}

const LEFT = 60;
const RIGHT = 16;
const TITLE = 34;
const MARKERS = 20;
const AXIS = 42;
const ROW = 18;
const SWATCH = 10;
const GAP = 18;

/** The whole document. Texts are data: whatever a run is called, its name is only ever text. */
export function chartSvg(data: ChartData, words: ChartWords, size: SvgSize, theme: Theme): string {
  const pen = new SvgPen();
  const area: Area = {
    left: LEFT,
    top: TITLE + MARKERS,
    width: Math.max(size.width - LEFT - RIGHT, 1),
    height: Math.max(size.height - MARKERS - 26, 1),
    ratio: 1,
  };
  const entries = placed(words.legend ?? legend(data.lines), area, pen);
  const bottom = area.top + area.height + AXIS;
  const height = bottom + (entries.at(-1)?.row ?? -1) * ROW + ROW + 6;
  drawPage(pen, size.width, height, theme);
  drawDashes(pen, words.dashes, theme, drawTitle(pen, words.title, theme) + GAP, size.width);
  drawAxes(pen, area, data, words, theme);
  const markers = layoutMarkers(data.alerts, data.xRange, area.width);
  paintUnder(pen, area, data);
  drawLines(pen, area, data);
  paintOver(pen, area, data, theme, markers);
  if (words.limit) drawLimit(pen, area, data, words.limit, theme);
  drawMarkers(pen, area, markers, theme);
  for (const { name, colour, x, row } of entries) {
    pen.fillStyle = colour;
    pen.fillRect(x, bottom + row * ROW, SWATCH, SWATCH);
    label(pen, name, x + SWATCH + 6, bottom + row * ROW + 9, theme.ink);
  }
  return documentOf(size.width, height, words.title, pen.content);
}

/** A run once, however many lines it has. */
function legend(lines: readonly Line[]): Entry[] {
  const colours = new Map(lines.map((line) => [line.run, line.colour]));
  return [...colours].map(([name, colour]) => ({ name, colour }));
}

/** Side by side, in as many rows as it takes. */
function placed(entries: readonly Entry[], area: Area, pen: SvgPen) {
  pen.font = font(11);
  let x = area.left;
  let row = 0;
  return entries.map((entry) => {
    const width = SWATCH + 6 + pen.measureText(entry.name).width;
    if (x > area.left && x + width > area.left + area.width) {
      x = area.left;
      row++;
    }
    const place = { ...entry, x, row };
    x += width + GAP;
    return place;
  });
}

/** On the title's line, as many as have room. */
function drawDashes(
  pen: SvgPen,
  dashes: ChartWords["dashes"],
  theme: Theme,
  left: number,
  width: number,
): void {
  let x = left;
  pen.font = font(11);
  for (const { label: text, dash } of dashes) {
    const room = 30 + pen.measureText(text).width;
    if (x + room > width) return;
    stroke(pen, theme.soft, 1.4, dash, [x, 17], [x + 24, 17]);
    label(pen, text, x + 30, 21, theme.soft);
    x += room + GAP;
  }
}

function drawAxes(
  pen: SvgPen,
  area: Area,
  data: ChartData,
  { axis }: ChartWords,
  theme: Theme,
): void {
  const bottom = area.top + area.height;
  const y = (value: number): number => down(area, data, value);
  const empty = data.note !== null;
  const ticks = empty ? [] : SCALES[data.yScale].ticks(data.yRange, Math.max(2, area.height / 42));
  for (const { value, label: text } of ticks) {
    stroke(pen, theme.grid, 1, [], [area.left, y(value)], [area.left + area.width, y(value)]);
    label(pen, text, area.left - 8, y(value) + 4, theme.faint, "right");
  }
  const most = Math.max(2, area.width / 110);
  for (const { value, label: text } of SCALES[data.xScale].ticks(data.xRange, most)) {
    const x = across(area, data, value);
    stroke(pen, theme.line, 1, [], [x, bottom], [x, bottom + 4]);
    label(pen, text, x, bottom + 17, theme.faint, "center");
  }
  stroke(pen, theme.line, 1, [], [area.left, bottom], [area.left + area.width, bottom]);
  label(pen, axis, area.left + area.width, bottom + 32, theme.soft, "right");
}

/** As the line that is dragged on the screen; left out where it lies beyond the range. */
function drawLimit(pen: Pen, area: Area, data: ChartData, limit: Limit, theme: Theme): void {
  const [y, right] = [down(area, data, limit.value), area.left + area.width];
  if (!(y >= area.top && y <= area.top + area.height)) return;
  stroke(pen, theme.accent, 2, [4, 3], [area.left, y], [right, y]);
  label(pen, limit.label, right - 4, y - 4, theme.accent, "right");
}

function drawMarkers(
  pen: SvgPen,
  area: Area,
  markers: readonly Marker<AlertItem>[],
  theme: Theme,
): void {
  for (const { pixel, severity, label: text, labelled } of markers) {
    const x = area.left + pixel;
    pen.beginPath();
    pen.moveTo(x - 6, area.top - 12);
    pen.lineTo(x + 6, area.top - 12);
    pen.lineTo(x, area.top - 3);
    pen.closePath();
    pen.fillStyle = severityColour(severity, theme);
    pen.fill();
    if (labelled) label(pen, text, x + 9, area.top - 4, theme.soft);
  }
}
