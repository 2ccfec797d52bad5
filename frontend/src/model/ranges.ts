// Vertical and horizontal ranges. All of them ignore what is not finite.

export type Range = readonly [number, number];

/** Smallest and largest finite value, optionally only positive ones; null when there is none. */
export function extent(arrays: Iterable<ArrayLike<number>>, positiveOnly = false): Range | null {
  let low = Infinity;
  let high = -Infinity;
  for (const array of arrays) {
    for (let i = 0; i < array.length; i++) {
      const value = array[i] as number;
      if (!Number.isFinite(value) || (positiveOnly && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

/** How far an outlier may stretch an axis beyond nearly all values: four decades, or a thousandfold on a linear one. */
const STRETCH = { log: 1e4, linear: 1000 } as const;
/** Share of the values' size that they are taken to be spread over, at the least. */
const LEAST_SPREAD = 0.05;

/**
 * The range of what can be told apart: `extent`, unless a few values lie so far out that nothing else would be seen,
 * as when a loss explodes over thirty decades on its way to NaN. Then the axis ends earlier, and the
 * line leaves the chart.
 */
export function readableExtent(
  arrays: readonly ArrayLike<number>[],
  logarithmic: boolean,
): Range | null {
  const whole = extent(arrays, logarithmic);
  if (whole === null || isNarrow(whole, logarithmic)) return whole;
  const sorted = sortedValues(arrays, logarithmic);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number;
  const [low, most, least, high] = [at(0), at(0.97), at(0.03), at(1)];
  if (logarithmic) {
    const far = STRETCH.log;
    return [
      low < least / far ? least / (far / 10) : low,
      high > most * far ? most * (far / 10) : high,
    ];
  }
  const spread = Math.max(most - least, Math.abs(most) * LEAST_SPREAD);
  const reach = spread * STRETCH.linear;
  return [
    low < least - reach ? least - reach / 100 : low,
    high > most + reach ? most + reach / 100 : high,
  ];
}

/** Whether no outlier can be as far out as that, however most values are spread: it saves sorting them. */
function isNarrow([low, high]: Range, logarithmic: boolean): boolean {
  if (logarithmic) return high <= low * STRETCH.log;
  return low > 0 && high <= low * STRETCH.linear * LEAST_SPREAD;
}

/** From the 1 % to the 99 % quantile of all finite values, on a log axis of the positive ones; null of none. */
export function mostExtent(
  arrays: Iterable<ArrayLike<number>>,
  logarithmic: boolean,
): Range | null {
  const sorted = sortedValues(arrays, logarithmic);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number;
  return sorted.length === 0 ? null : [at(0.01), at(0.99)];
}

function sortedValues(arrays: Iterable<ArrayLike<number>>, positiveOnly: boolean): Float64Array {
  const all = [...arrays];
  const values = new Float64Array(all.reduce((sum, array) => sum + array.length, 0));
  let count = 0;
  for (const array of all) {
    for (let i = 0; i < array.length; i++) {
      const value = array[i] as number;
      if (Number.isFinite(value) && (!positiveOnly || value > 0)) values[count++] = value;
    }
  }
  return values.subarray(0, count).sort();
}

/** The range with room above and below, so that no line runs along the frame. One value gets room around it. */
export function padded(range: Range | null, logarithmic: boolean): Range {
  if (!range) return logarithmic ? [0.1, 10] : [0, 1];
  const [low, high] = range;
  if (logarithmic) {
    const factor = high / low > 1.1 ? (high / low) ** 0.06 : 1.5;
    return [low / factor, high * factor];
  }
  const room = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** A log axis serves values that are all positive and span more than a decade. */
export function prefersLog(range: Range | null): boolean {
  return range !== null && range[0] > 0 && range[1] / range[0] > 10;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** `range` moved and shrunk, if it must, to lie within `bounds`. */
export function within(range: Range, bounds: Range): Range {
  const span = Math.min(range[1] - range[0], bounds[1] - bounds[0]);
  const low = clamp(range[0], bounds[0], bounds[1] - span);
  return [low, low + span];
}

/** Zooms by `factor` (below 1: closer) with the point at `center` staying where it is. */
export function zoomed(range: Range, center: number, factor: number): Range {
  return [center - (center - range[0]) * factor, center + (range[1] - center) * factor];
}
