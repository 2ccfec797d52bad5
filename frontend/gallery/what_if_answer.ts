// Other thresholds for the norms that a made-up run's line has.

import type { Run } from "../src/api";
import type { ThresholdOutcome, WhatIf } from "../src/api_what_if";
import { part, type State } from "./made_up";

const POINTS = 100;
/** As core/zclip.py has them. */
const ZCLIP = { weight: 0.97, deviations: 2.5, warmUp: 25 } as const;

export function whatIf(state: State, run: Run, query: URLSearchParams): WhatIf {
  const [from, to] = [query.get("from") ?? -Infinity, query.get("to") ?? Infinity].map(Number);
  const [steps = [], , norms = []] = part(run, "norm_before", state).values;
  const rows = steps
    .map((step, i) => ({ step, norm: norms[i] ?? NaN }))
    .filter(({ step, norm }) => step >= (from ?? 0) && step <= (to ?? 0) && Number.isFinite(norm));
  const sorted = rows.map(({ norm }) => norm).sort((a, b) => a - b);
  const at = (threshold: number): ThresholdOutcome => outcome(sorted, threshold);
  const quantile = (share: number): number =>
    sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] ?? NaN;
  const curve = grid(sorted).map(at);
  const wanted = query.get("at");
  const some = sorted.length > 0;
  return {
    run: run.name,
    rule: run.rule,
    norm_type: 2,
    steps: rows.length,
    range: some ? [rows[0]?.step ?? 0, rows.at(-1)?.step ?? 0] : null,
    thresholds: curve.map((one) => one.threshold),
    clip_rate: curve.map((one) => one.clip_rate ?? 0),
    throttle: curve.map((one) => one.throttle ?? 0),
    now:
      run.rule.kind === "none"
        ? null
        : { ...at(run.rule.threshold ?? Infinity), threshold: run.rule.threshold, constant: true },
    suggestions: some
      ? [0.01, 0.1, 0.5].map((share) => ({ share, ...at(quantile(1 - share)) }))
      : [],
    autoclip: some
      ? [10, 50, 90].map((percentile) => ({ percentile, ...at(quantile(percentile / 100)) }))
      : [],
    zclip: zclip(rows, at),
    at: wanted === null ? null : at(Number(wanted)),
  };
}

function outcome(norms: readonly number[], threshold: number): ThresholdOutcome {
  const sum = norms.reduce((total, norm) => total + norm, 0);
  const kept = norms.reduce((total, norm) => total + Math.min(norm, threshold), 0);
  const above = norms.filter((norm) => norm > threshold).length;
  if (norms.length === 0) return { threshold, clip_rate: null, throttle: null };
  return { threshold, clip_rate: above / norms.length, throttle: 1 - kept / sum };
}

/** From just below the smallest norm to the largest, evenly on a logarithmic axis. */
function grid(sorted: readonly number[]): number[] {
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) return [];
  const low = least * 0.9;
  return Array.from({ length: POINTS }, (_, i) =>
    i === POINTS - 1 ? most : low * (most / low) ** (i / (POINTS - 1)),
  );
}

function zclip(
  rows: readonly { readonly step: number; readonly norm: number }[],
  at: (threshold: number) => ThresholdOutcome,
): WhatIf["zclip"] {
  const first = rows.slice(0, ZCLIP.warmUp).map(({ norm }) => norm);
  let mean = first.reduce((sum, norm) => sum + norm, 0) / first.length;
  let variance = first.reduce((sum, norm) => sum + (norm - mean) ** 2, 0) / first.length;
  const limits = rows.slice(ZCLIP.warmUp).map(({ step, norm }) => {
    const limit = mean + ZCLIP.deviations * Math.sqrt(variance);
    const kept = Math.min(norm, limit);
    mean = ZCLIP.weight * mean + (1 - ZCLIP.weight) * kept;
    variance = ZCLIP.weight * variance + (1 - ZCLIP.weight) * (kept - mean) ** 2;
    return { step, limit, norm, kept };
  });
  const sum = (of: (row: (typeof limits)[number]) => number): number =>
    limits.reduce((total, row) => total + of(row), 0);
  const last = limits.at(-1);
  return {
    steps: limits.map(({ step }) => step),
    thresholds: limits.map(({ limit }) => limit),
    clip_rate: rows.length > 0 ? sum((row) => Number(row.norm > row.limit)) / rows.length : null,
    throttle: last ? 1 - sum((row) => row.kept) / sum((row) => row.norm) : null,
    last: last ? at(last.limit) : null,
  };
}
