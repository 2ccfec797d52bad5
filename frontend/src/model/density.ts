// A histogram on a signed log axis: magnitudes by octaves on both sides of a gap that stands for zero.

export interface Histogram {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly counts: readonly number[];
}

export interface Bar {
  readonly from: number;
  readonly to: number;
  /** Values per octave, so that narrow bins do not look emptier than wide ones. */
  readonly density: number;
}

export interface SignedLogAxis {
  /** Magnitudes drawn: `smallest` sits beside the gap, `largest` at either end. */
  readonly smallest: number;
  readonly largest: number;
  /** From a value to octaves right of the middle. Magnitudes below `smallest` fall into the gap. */
  readonly position: (value: number) => number;
  readonly value: (position: number) => number;
  /** Octaves from the middle to either end. */
  readonly reach: number;
}

const GAP_OCTAVES = 0.5;

/** An axis that holds all bins of all `histograms`; between 1e-3 and 1 when there are none. */
export function signedLogAxis(
  histograms: readonly Histogram[],
  values: readonly number[] = [],
): SignedLogAxis {
  let smallest = Infinity;
  let largest = 0;
  const include = (value: number): void => {
    const size = Math.abs(value);
    if (size === 0 || !Number.isFinite(size)) return;
    smallest = Math.min(smallest, size);
    largest = Math.max(largest, size);
  };
  for (const { low, high } of histograms) {
    low.forEach(include);
    high.forEach(include);
  }
  values.forEach(include);
  if (largest === 0) [smallest, largest] = [1e-3, 1];
  const base = Math.log2(smallest) - GAP_OCTAVES;
  return {
    smallest,
    largest,
    reach: Math.log2(largest) - base,
    position(value) {
      if (value === 0) return 0;
      return Math.sign(value) * Math.max(Math.log2(Math.abs(value)) - base, 0);
    },
    value(position) {
      const size = Math.abs(position);
      return size < GAP_OCTAVES ? 0 : Math.sign(position) * 2 ** (size + base);
    },
  };
}

/** One bar per bin, as octaves on `axis`. */
export function bars(histogram: Histogram, axis: SignedLogAxis): Bar[] {
  return histogram.counts.map((amount, i) => {
    const from = axis.position(histogram.low[i] as number);
    const to = axis.position(histogram.high[i] as number);
    return { from, to, density: to > from ? amount / (to - from) : 0 };
  });
}

/**
 * Share of all `size` values whose magnitude is above `magnitude`; a bin that it falls into counts by the part of its
 * octaves above. Zeros are never above, what is not finite is left out of `size` by the caller.
 */
export function shareAbove(histogram: Histogram, size: number, magnitude: number): number {
  if (size <= 0) return 0;
  let above = 0;
  histogram.counts.forEach((amount, i) => {
    const bounds = [Math.abs(histogram.low[i] as number), Math.abs(histogram.high[i] as number)];
    const [inner, outer] = [Math.min(...bounds), Math.max(...bounds)];
    if (magnitude <= inner) above += amount;
    else if (magnitude < outer) {
      above += amount * (Math.log2(outer / magnitude) / Math.log2(outer / inner));
    }
  });
  return above / size;
}

/** Corners of the bars' outline, left to right, starting and ending on the ground; bars that touch share a wall. */
export function outline(list: readonly Bar[]): [number, number][] {
  const points: [number, number][] = [];
  let end = -Infinity;
  for (const { from, to, density } of list) {
    if (from - end > 1e-6) {
      if (points.length > 0) points.push([end, 0]);
      points.push([from, 0]);
    }
    points.push([from, density], [to, density]);
    end = to;
  }
  if (points.length > 0) points.push([end, 0]);
  return points;
}

/** Powers of ten to label, at most about `most`, mirrored around zero. */
export function powerTicks(axis: SignedLogAxis, most: number): number[] {
  const first = Math.ceil(Math.log10(axis.smallest) - 1e-9);
  const last = Math.floor(Math.log10(axis.largest) + 1e-9);
  const perSide = Math.max(1, Math.floor((most - 1) / 2));
  const stride = Math.max(1, Math.ceil((last - first + 1) / perSide));
  const positive: number[] = [];
  for (let exponent = last; exponent >= first; exponent -= stride) {
    positive.unshift(Number(`1e${exponent}`));
  }
  return [...positive.map((v) => -v).reverse(), 0, ...positive];
}
