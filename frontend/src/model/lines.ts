// From rows as the server sends them to lines as a chart draws them.

/** Row whose x is nearest to `target`, or -1 for no rows. `x` ascends; of two equally near, the earlier. */
export function nearestRow(x: ArrayLike<number>, target: number): number {
  if (x.length === 0) return -1;
  let low = 0;
  let high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((x[middle] as number) < target) low = middle + 1;
    else high = middle;
  }
  const previous = low - 1;
  if (previous < 0) return low;
  return target - (x[previous] as number) <= (x[low] as number) - target ? previous : low;
}

/** The value at `target` on the line through the points, which `x` orders; beyond them, that of the nearest. */
export function interpolated(x: ArrayLike<number>, y: ArrayLike<number>, target: number): number {
  const near = nearestRow(x, target);
  const from = (x[near] as number) > target ? near - 1 : near;
  const [x0, x1, y0, y1] = [x[from], x[from + 1], y[from], y[from + 1]];
  if (x0 === undefined || x1 === undefined || y0 === undefined || y1 === undefined)
    return y[near] ?? NaN;
  return x1 > x0 ? y0 + ((y1 - y0) * (target - x0)) / (x1 - x0) : y0;
}

/**
 * What can be drawn: null, which breaks the line, where a value is not finite; on a log axis, what is not
 * positive lies on the floor, so that a norm of zero shows as a fall and not as a gap.
 */
export function drawable(y: ArrayLike<number>, floor: number | null): (number | null)[] {
  const result = new Array<number | null>(y.length);
  for (let i = 0; i < y.length; i++) {
    const value = y[i] as number;
    if (!Number.isFinite(value)) result[i] = null;
    else result[i] = floor !== null && value < floor ? floor : value;
  }
  return result;
}

export type NonfiniteKind = "NaN" | "+Inf" | "-Inf";

/** Consecutive rows that are not finite, named after the first. */
export interface Gap {
  readonly kind: NonfiniteKind;
  readonly from: number;
  readonly to: number;
}

export function gaps(x: ArrayLike<number>, y: ArrayLike<number>): Gap[] {
  const result: Gap[] = [];
  for (let i = 0; i < y.length; i++) {
    const value = y[i] as number;
    if (Number.isFinite(value)) continue;
    const from = x[i] as number;
    while (i + 1 < y.length && !Number.isFinite(y[i + 1])) i++;
    const kind = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    result.push({ kind, from, to: x[i] as number });
  }
  return result;
}

/** Order that sorts `x`, or null when it ascends already, which it does unless a clock was set back. */
export function sortingOrder(x: ArrayLike<number>): number[] | null {
  for (let i = 1; i < x.length; i++) {
    if ((x[i] as number) < (x[i - 1] as number)) {
      return Array.from({ length: x.length }, (_, j) => j).sort(
        (a, b) => (x[a] as number) - (x[b] as number),
      );
    }
  }
  return null;
}

export function reordered(values: Float64Array, order: readonly number[]): Float64Array {
  return Float64Array.from(order, (i) => values[i] as number);
}
