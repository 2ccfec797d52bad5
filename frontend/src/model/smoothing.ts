/**
 * Debiased exponential moving average that never reaches across a non-finite value.
 *
 * With evenly spaced points this is `s[i] = w s[i-1] + (1 - w) y[i]`, divided by its weight sum, the smoothing that
 * TensorBoard's own charts use. Reduced series are not evenly spaced, so the weight of the past fades with distance
 * along x, one unit being the series' mean spacing. Non-finite values come out unchanged and start afresh.
 */
export function smooth(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  weight: number,
): Float64Array<ArrayBuffer> {
  const n = y.length;
  const result = Float64Array.from(y);
  if (weight <= 0 || n < 2) return result;
  const spacing = ((x[n - 1] ?? 0) - (x[0] ?? 0)) / (n - 1) || 1;
  let sum = 0;
  let mass = 0;
  let last = 0;
  for (let i = 0; i < n; i++) {
    const value = y[i] as number;
    if (!Number.isFinite(value)) {
      sum = mass = 0;
      continue;
    }
    const position = x[i] as number;
    const fade = mass === 0 ? 0 : weight ** ((position - last) / spacing);
    sum = fade * sum + (1 - weight) * value;
    mass = fade * mass + (1 - weight);
    last = position;
    result[i] = sum / mass;
  }
  return result;
}
