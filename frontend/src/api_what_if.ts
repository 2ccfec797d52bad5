// The `what_if` route of the HTTP API, as its page (http_api.md) describes it.

import { get, type Rule } from "./api";

/** Shares from 0 to 1; null where no step counts. */
export interface ThresholdOutcome {
  readonly threshold: number;
  readonly clip_rate: number | null;
  readonly throttle: number | null;
}

export interface WhatIf {
  readonly run: string;
  readonly rule: Rule;
  /** The p of the p-norm; JSON has no infinity. */
  readonly norm_type: number | "inf";
  /** Steps that count, and the first and last one looked at. */
  readonly steps: number;
  readonly range: readonly [number, number] | null;
  /** A curve, by ascending threshold. */
  readonly thresholds: readonly number[];
  readonly clip_rate: readonly number[];
  readonly throttle: readonly number[];
  /** What the run's own clipping did; null if it does not clip. */
  readonly now:
    | (Omit<ThresholdOutcome, "threshold"> & {
        readonly threshold: number | null;
        readonly constant: boolean;
      })
    | null;
  readonly suggestions: readonly (ThresholdOutcome & { readonly share: number })[];
  readonly autoclip: readonly (ThresholdOutcome & { readonly percentile: number })[];
  readonly zclip: {
    readonly steps: readonly number[];
    readonly thresholds: readonly number[];
    readonly clip_rate: number | null;
    readonly throttle: number | null;
    readonly last: ThresholdOutcome | null;
  };
  readonly at: ThresholdOutcome | null;
}

export interface WhatIfQuery {
  readonly run: string;
  /** First and last step; null for the whole run. */
  readonly range: readonly [number, number] | null;
  readonly at: number | null;
}

export async function fetchWhatIf(query: WhatIfQuery, signal?: AbortSignal): Promise<WhatIf> {
  const response = await get(`what_if?${whatIfArguments(query)}`, signal);
  return (await response.json()) as WhatIf;
}

export function whatIfArguments({ run, range, at }: WhatIfQuery): URLSearchParams {
  const result = new URLSearchParams({ run });
  if (range) {
    result.set("from", String(range[0]));
    result.set("to", String(range[1]));
  }
  if (at !== null) result.set("at", String(at));
  return result;
}
