// A reduced line as a band and a middle: the server sends of each bucket of steps the rows of its smallest and its
// largest value, and drawn as one line they zigzag.

import { FEW_RUNS, type Band } from "./chart";
import { faded } from "./colours";

export interface Envelope {
  /** Ascending. */
  readonly x: Float64Array;
  /** Smallest, middle and largest value around each x; all three not finite where the line has a gap. */
  readonly low: Float64Array;
  readonly middle: Float64Array;
  readonly high: Float64Array;
  /** Extremes that stand far out, as strokes of three rows: the middle, the extreme, and a NaN between strokes. */
  readonly needles: Needles;
}

interface Needles {
  /** Ascending. */
  readonly x: Float64Array;
  readonly y: Float64Array;
}

interface Needle {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

interface Point {
  readonly x: number;
  readonly low: number;
  readonly middle: number;
  readonly high: number;
  /** Where the rows of the extremes are. */
  readonly lowAt: number;
  readonly highAt: number;
}

/** Rows that are taken together. A bucket sends two, so that six in a row hold at least two whole buckets. */
const GROUP = 6;
/** Rows further apart than this many mean spacings are not taken together: training paused between them. */
const PAUSE = 16;
/** An extreme this many times as far from the middle as the median extreme stands out: noise hardly reaches two. */
const STANDS_OUT = 4;

/**
 * The band and the middle of the rows of a reduced series.
 *
 * Every six consecutive rows (the last of a stretch up to eleven) become one point, placed halfway between the first and the last of them, the first and
 * the last point of a stretch at its very ends; `low` and `high` are their extremes, so none is lost. `middle`
 * lies halfway between the second smallest and the second largest of them, between the extremes where there are fewer
 * than six; halfway by ratio on a log axis, if both are positive. A row
 * that is not finite stays as it is, as a point by itself: it breaks the band and the line where it is. No rows give
 * no points, one row gives one.
 *
 * A spike of one step would be a pale sliver of the band. So extremes more than `STANDS_OUT` times as far from the
 * middle as those of the same side mostly are (measured on the axis) are `needles` besides, exactly where they are.
 */
export function envelope(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  logarithmic: boolean,
): Envelope {
  const points = stretches(x, y).flatMap((stretch) => pointsOf(x, y, stretch, logarithmic));
  const column = (key: keyof Point): Float64Array => new Float64Array(points.map((p) => p[key]));
  return {
    x: column("x"),
    low: column("low"),
    middle: column("middle"),
    high: column("high"),
    needles: needlesOf(points, logarithmic),
  };
}

function pointsOf(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  [from, to]: readonly [number, number],
  logarithmic: boolean,
): Point[] {
  const result: Point[] = [];
  for (let i = from, end = from; i < to; i = end) {
    end = to - i < 2 * GROUP ? to : i + GROUP; // too few for a group by themselves join the last one
    const { low, middle, high, lowAt, highAt } = summaryOf(x, y, [i, end], logarithmic);
    for (const place of places(x, [i, end], [from, to])) {
      result.push({ x: place, low, middle, high, lowAt, highAt });
    }
  }
  return result;
}

/** Extremes of a group, the first smallest and the last largest, and their middle; of one row, its value. */
function summaryOf(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  [from, to]: readonly [number, number],
  logarithmic: boolean,
): Omit<Point, "x"> {
  const first = y[from] as number;
  let [low, high, lowRow, highRow] = [first, first, from, from];
  let [nextLow, nextHigh] = [Infinity, -Infinity];
  for (let row = from + 1; row < to; row++) {
    const value = y[row] as number;
    if (value < low) {
      [nextLow, low, lowRow] = [low, value, row];
    } else if (value < nextLow) {
      nextLow = value;
    }
    if (value >= high) {
      [nextHigh, high, highRow] = [high, value, row];
    } else if (value > nextHigh) {
      nextHigh = value;
    }
  }
  const few = to - from < GROUP; // no spike among them is told from the others
  const [below, above] = few ? [low, high] : [nextLow, nextHigh];
  const middle = to - from === 1 ? first : halfway(below, above, logarithmic);
  return { low, middle, high, lowAt: x[lowRow] as number, highAt: x[highRow] as number };
}

function needlesOf(points: readonly Point[], logarithmic: boolean): Needles {
  const on = (value: number): number => (logarithmic ? Math.log(value) : value);
  const strokes: Needle[] = [];
  for (const [side, at] of [
    ["low", "lowAt"],
    ["high", "highAt"],
  ] as const) {
    const reach = points.map((point) => Math.abs(on(point[side]) - on(point.middle)));
    const known = reach.filter(Number.isFinite).sort((a, b) => a - b);
    const usual = known[known.length >> 1] ?? 0;
    points.forEach((point, i) => {
      if (!((reach[i] as number) > STANDS_OUT * usual)) return;
      strokes.push({ at: point[at], from: point.middle, to: point[side] });
    });
  }
  strokes.sort((a, b) => a.at - b.at); // lines that go back are drawn across
  return {
    x: Float64Array.from(strokes.flatMap(({ at: x }) => [x, x, x])),
    y: Float64Array.from(strokes.flatMap(({ from, to }) => [from, to, NaN])),
  };
}

/** First row and the row after the last of each stretch: finite ones without a pause, or one that is not finite. */
function stretches(x: ArrayLike<number>, y: ArrayLike<number>): (readonly [number, number])[] {
  const n = y.length;
  const pause = (PAUSE * ((x[n - 1] ?? 0) - (x[0] ?? 0))) / Math.max(n - 1, 1);
  const result: (readonly [number, number])[] = [];
  for (let from = 0; from < n;) {
    let to = from + 1;
    if (Number.isFinite(y[from])) {
      while (
        to < n &&
        Number.isFinite(y[to]) &&
        (x[to] as number) - (x[to - 1] as number) <= pause
      ) {
        to++;
      }
    }
    result.push([from, to]);
    from = to;
  }
  return result;
}

/** Where the point of a group stands: one place, or both ends of a stretch that is no longer than a group. */
function places(
  x: ArrayLike<number>,
  [i, end]: readonly [number, number],
  [from, to]: readonly [number, number],
): readonly number[] {
  const [first, last] = [x[i] as number, x[end - 1] as number];
  if (i === from && end === to) return first < last ? [first, last] : [first];
  if (i === from) return [first];
  return [end === to ? last : (first + last) / 2];
}

function halfway(below: number, above: number, logarithmic: boolean): number {
  return logarithmic && below > 0 ? Math.sqrt(below * above) : (below + above) / 2;
}

/** A band for each run: fainter the more there are, so that lines stay visible through all of them. */
export function bandsOf(
  envelopes: ReadonlyMap<string, Envelope>,
  colourOf: (run: { readonly name: string }) => string,
  dark: boolean,
): Band[] {
  const opacity = (dark ? 0.3 : 0.24) / Math.sqrt(Math.max(envelopes.size, 1));
  return [...envelopes].map(([name, { x, low, high }]) => {
    const colour = colourOf({ name });
    const edge = envelopes.size > FEW_RUNS ? {} : { edge: faded(colour, 0.12 + opacity) };
    return { colour: faded(colour, opacity), ...edge, x, low, high };
  });
}
