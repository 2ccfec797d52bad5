// The health table as rows of plain values, to paste elsewhere.

import { chips, lintWords, type Finding } from "./health";
import type { Cell } from "./table";

export interface HealthRun {
  readonly name: string;
  readonly rule: { readonly text: string };
  readonly clip_rate: { readonly rate: number } | null;
  readonly recent_clip_rate: {
    readonly rate: number;
    readonly low: number;
    readonly high: number;
  } | null;
  readonly throttle: number | null;
  readonly overhead: number | null;
  readonly skipped_steps: number;
  readonly alerts: readonly Finding[];
}

const HEADINGS = [
  ...["run", "rule", "clip rate, last 100", "low", "high", "clip rate, run"],
  ...["throttle", "alerts", "skipped steps", "lint", "overhead"],
] as const;

/** Shares are numbers from 0 to 1 with all their digits; what is not known is an empty cell. */
export function healthTable(runs: readonly HealthRun[]): Cell[][] {
  return [[...HEADINGS], ...runs.map(rowOf)];
}

function rowOf(run: HealthRun): Cell[] {
  const recent = run.recent_clip_rate;
  return [
    run.name,
    run.rule.text,
    recent?.rate ?? null,
    recent?.low ?? null,
    recent?.high ?? null,
    run.clip_rate?.rate ?? null,
    run.throttle,
    chips(run.alerts)
      .map((chip) => chip.text)
      .join(", "),
    run.skipped_steps,
    lintWords(run.alerts)?.sentences.join(" ") ?? "none",
    run.overhead,
  ];
}
