// Bands and lines of a time chart, which uPlot draws on the screen, drawn with a pen.

import type { Band, ChartData, Line } from "../model/chart";
import { drawable } from "../model/lines";
import { across, down } from "./paint";
import type { Area } from "./plot";
import type { Pen } from "./svg_pen";

/** From a row's place and value to pixels. */
type Place = (x: number | undefined, y: number | null | undefined) => readonly [number, number];

/** Nothing of them leaves the plot area. */
export function drawLines(pen: Pen, area: Area, data: ChartData): void {
  const place: Place = (x, y) => [across(area, data, x ?? NaN), down(area, data, y ?? NaN)];
  const floor = data.yScale === "log" ? data.yRange[0] : null;
  pen.save();
  pen.beginPath();
  pen.rect(area.left, area.top, area.width, area.height);
  pen.clip();
  for (const band of data.bands) drawBand(pen, band, place);
  for (const line of data.lines) drawLine(pen, line, drawable(line.y, floor), place);
  pen.restore();
}

/** Closed shapes between both sides, one for each stretch in which both are finite. */
function drawBand(pen: Pen, { colour, x, low, high }: Band, place: Place): void {
  pen.fillStyle = colour;
  const finite = (i: number): boolean => Number.isFinite(low[i]) && Number.isFinite(high[i]);
  for (const [from, to] of stretches(x.length, finite)) {
    pen.beginPath();
    pen.moveTo(...place(x[from], high[from]));
    for (let i = from + 1; i < to; i++) pen.lineTo(...place(x[i], high[i]));
    for (let i = to - 1; i >= from; i--) pen.lineTo(...place(x[i], low[i]));
    pen.closePath();
    pen.fill();
  }
}

/** Rows without neighbours have no line to show them: they get a point. */
function drawLine(pen: Pen, line: Line, y: readonly (number | null)[], place: Place): void {
  pen.save();
  pen.strokeStyle = pen.fillStyle = line.colour;
  pen.lineWidth = line.width;
  pen.globalAlpha = line.opacity;
  pen.setLineDash([...line.dash]);
  pen.beginPath();
  const loners: (readonly [number, number])[] = [];
  for (const [from, to] of stretches(y.length, (i) => y[i] != null)) {
    if (to - from === 1) loners.push(place(line.x[from], y[from]));
    else pen.moveTo(...place(line.x[from], y[from]));
    for (let i = from + 1; i < to; i++) pen.lineTo(...place(line.x[i], y[i]));
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
