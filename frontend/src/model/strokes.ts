// How lines and bands of a chart are put on a canvas, so that it takes a moment and not seconds. Rasterizing a wide
// line takes time in proportion to how often each pixel row is crossed: a noisy line that fills an area costs 60
// times as much 1.6 pixels wide as it does one pixel wide, and looks the same.

import { visibleRows, type Band, type ChartData, type Line } from "./chart";
import { drawable } from "./lines";
import { SCALES } from "./scales";

export interface Stroke extends Pick<Line, "colour" | "width" | "dash" | "opacity"> {
  readonly x: Float64Array;
  /** Projected; null breaks the line. */
  readonly y: readonly (number | null)[];
}

/** Heights of the chart that a line goes up and down until it counts as noisy. */
const NOISY = 50;
/** With more noisy lines than this, dashes cannot be told from one another, and each is drawn by itself. */
const MOST_DASHED = 6;
/** Of a line that would be dashed: about as light as its dashes make it. */
const DASHED_OPACITY = 0.6;
/** Rows of a band: a row for every other pixel or two shows as much as more would. */
const MOST_BAND_ROWS = 400;
/** Rows of all bands of a chart: with more, filling them takes most of a frame. */
const MOST_ROWS = 16_000;

/** The visible part of each line, and how to draw it; thresholds that change lie under all others. */
export function strokes({ lines: own, thresholds, xRange, yRange, yScale }: ChartData): Stroke[] {
  const lines = [...thresholds.flatMap(({ line }) => line ?? []), ...own];
  const { project } = SCALES[yScale];
  const floor = yScale === "log" ? yRange[0] : null;
  const height = project(yRange[1]) - project(yRange[0]);
  const drawn = lines.map(({ colour, width, dash, opacity, x, y }) => {
    const [from, to] = visibleRows(x, xRange);
    const values = drawable(y.subarray(from, to), floor);
    const projected = values.map((value) => (value === null ? null : project(value)));
    const stroke = { colour, width, dash, opacity, x: x.subarray(from, to), y: projected };
    return { stroke, noisy: travel(projected, height) > NOISY };
  });
  const crowded = drawn.filter(({ noisy }) => noisy).length > MOST_DASHED;
  return drawn.map(({ stroke, noisy }) => {
    if (!noisy) return stroke;
    const width = Math.min(stroke.width, 1);
    if (!crowded || stroke.dash.length === 0) return { ...stroke, width };
    return { ...stroke, width, dash: [], opacity: stroke.opacity * DASHED_OPACITY };
  });
}

/** How many times its height a line goes up and down; what lies far outside counts as one height away. */
function travel(y: readonly (number | null)[], height: number): number {
  let sum = 0;
  for (let i = 1; i < y.length; i++) {
    const [a, b] = [y[i - 1], y[i]];
    if (a != null && b != null) sum += Math.min(Math.abs(b - a), height);
  }
  return sum / height;
}

/** The visible parts of the bands, in few rows. */
export function thinnedBands({ bands, xRange }: Pick<ChartData, "bands" | "xRange">): Band[] {
  const rows = Math.min(MOST_BAND_ROWS, MOST_ROWS / bands.length);
  return bands.map((band) => thinnedBand(band, xRange, rows));
}

type Columns = [x: Float64Array, low: Float64Array, high: Float64Array];

/**
 * Neighbours become one row that reaches as far as any of them. Rows that are not finite stay, so that a gap stays one.
 */
function thinnedBand(band: Band, xRange: ChartData["xRange"], most: number): Band {
  const [from, to] = visibleRows(band.x, xRange);
  const stride = Math.max(1, Math.ceil((to - from) / most));
  const [x, low, high] = [0, 1, 2].map(() => new Float64Array(to - from)) as Columns;
  let [rows, merged] = [0, 0];
  for (let i = from; i < to; i++) {
    const [least, largest] = [band.low[i] as number, band.high[i] as number];
    const last = rows - 1;
    if (
      merged > 0 &&
      merged < stride &&
      i < to - 1 &&
      Number.isFinite(least + (low[last] as number))
    ) {
      low[last] = Math.min(low[last] as number, least);
      high[last] = Math.max(high[last] as number, largest);
      merged++;
    } else {
      x[rows] = band.x[i] as number;
      low[rows] = least;
      high[rows] = largest;
      rows++;
      merged = 1;
    }
  }
  return {
    ...band,
    x: x.subarray(0, rows),
    low: low.subarray(0, rows),
    high: high.subarray(0, rows),
  };
}
