// Distributions of many steps, as http_api.md describes them.

import { get } from "./api";
import { decodeHistograms } from "./framing";

/** Shares of all gradients of each step by magnitude; row i of `before` is `before.subarray(i * bins, ...)`. */
export interface HistogramMap {
  readonly run: string;
  readonly parameter: string | null;
  /** How many steps were recorded in the range; more than are here where the map was thinned. */
  readonly total: number;
  readonly steps: number;
  readonly bins: number;
  readonly step: Float64Array;
  /** What a `value` rule cut to, NaN under other rules. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly edges: Float64Array;
  readonly before: Float64Array;
  readonly after: Float64Array;
  readonly before_zero: Float64Array;
  readonly after_zero: Float64Array;
  readonly before_nonfinite: Float64Array;
  readonly after_nonfinite: Float64Array;
}

export async function fetchHistograms(
  run: string,
  parameter: string | null,
  range: readonly [number, number] | null,
  signal?: AbortSignal,
): Promise<HistogramMap> {
  const query = new URLSearchParams({ run });
  if (parameter !== null) query.set("parameter", parameter);
  if (range) {
    query.set("from", String(range[0]));
    query.set("to", String(range[1]));
  }
  return decodeHistograms(await (await get(`histograms?${query}`, signal)).arrayBuffer());
}
