// Bands and lines of a time chart, which uPlot draws on the screen, drawn with a pen.

import type { Band, ChartData } from "../model/chart";
import { drawable } from "../model/lines";
import { SCALES } from "../model/scales";
import { strokes, thinnedBands, type Stroke } from "../model/strokes";
import { across } from "./paint";
import type { Area } from "./plot";
import type { Pen } from "./svg_pen";

/** Width of the line around a band. Source: plot.ts. */
const EDGE = 0.75;

/** From a row's place and projected value to pixels. */
type Place = (x: number | undefined, y: number | null | undefined) => readonly [number, number];

/** As thick, dashed and thinned as on the screen. Nothing of them leaves the plot area. */
export function drawLines(pen: Pen, area: Area, data: ChartData): void {
  const { project } = SCALES[data.yScale];
  const [low, high] = data.yRange.map(project) as [number, number];
  const place: Place = (x, y) => [
    across(area, data, x ?? NaN),
    area.top + area.height * (1 - ((y ?? NaN) - low) / (high - low)),
  ];
  const floor = data.yScale === "log" ? data.yRange[0] : null;
  const side = (values: Float64Array): (number | null)[] =>
    drawable(values, floor).map((value) => (value === null ? null : project(value)));
  pen.save();
  pen.beginPath();
  pen.rect(area.left, area.top, area.width, area.height);
  pen.clip();
  for (const band of thinnedBands(data)) {
    drawBand(pen, band, side(band.low), side(band.high), place);
  }
  for (const stroke of strokes(data)) drawLine(pen, stroke, place);
  pen.restore();
}

type Side = readonly (number | null)[];

/** Closed shapes between both sides, one for each stretch in which both are finite. */
function drawBand(pen: Pen, { colour, edge, x }: Band, low: Side, high: Side, place: Place): void {
  pen.fillStyle = colour;
  for (const [from, to] of stretches(x.length, (i) => low[i] != null && high[i] != null)) {
    pen.beginPath();
    pen.moveTo(...place(x[from], high[from]));
    for (let i = from + 1; i < to; i++) pen.lineTo(...place(x[i], high[i]));
    for (let i = to - 1; i >= from; i--) pen.lineTo(...place(x[i], low[i]));
    pen.closePath();
    pen.fill();
    if (edge === undefined) continue;
    pen.strokeStyle = edge;
    pen.lineWidth = EDGE;
    pen.stroke();
  }
}

/** Rows without neighbours have no line to show them: they get a point. */
function drawLine(pen: Pen, { x, y, colour, width, dash, opacity }: Stroke, place: Place): void {
  pen.save();
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.globalAlpha = opacity;
  pen.setLineDash([...dash]);
  pen.beginPath();
  const loners: (readonly [number, number])[] = [];
  for (const [from, to] of stretches(y.length, (i) => y[i] != null)) {
    if (to - from === 1) loners.push(place(x[from], y[from]));
    else pen.moveTo(...place(x[from], y[from]));
    for (let i = from + 1; i < to; i++) pen.lineTo(...place(x[i], y[i]));
  }
  pen.stroke();
  for (const [left, top] of loners) pen.fillRect(left - 2, top - 2, 4, 4);
  pen.restore();
}

/** Ranges of rows for which something holds. */
function* stretches(rows: number, holds: (row: number) => boolean): Generator<[number, number]> {
  for (let from = 0; from < rows; from++) {
    if (!holds(from)) continue;
    let to = from + 1;
    while (to < rows && holds(to)) to++;
    yield [from, to];
    from = to;
  }
}
