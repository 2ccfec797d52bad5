// The list of alerts: those of all runs together, filtered and in order.

import { plural } from "./format";
import type { MarkerSeverity } from "./markers";

/** Steps before and after an alert that a flight recorder keeps. Source: core/flight.py. */
export const BEFORE = 64;
export const AFTER = 32;

export interface Listable {
  readonly run: string;
  readonly step: number;
  readonly wall_time: number;
  readonly kind: string;
  readonly severity: MarkerSeverity;
  readonly finding: string | null;
}

export const ALERT_ORDERS = ["newest", "severity"] as const;
export type AlertOrder = (typeof ALERT_ORDERS)[number];

const RANK: Readonly<Record<MarkerSeverity, number>> = { error: 0, warning: 1, info: 2 };

/** Alerts of a kind, or of all; the newest first, or the worst first and of equally bad ones the newest. */
export function listedAlerts<T extends Listable>(
  alerts: readonly T[],
  kind: string | null,
  order: AlertOrder,
): T[] {
  const newest = (a: T, b: T): number => b.wall_time - a.wall_time || b.step - a.step;
  const worst = (a: T, b: T): number => RANK[a.severity] - RANK[b.severity] || newest(a, b);
  const kept = kind === null ? [...alerts] : alerts.filter((alert) => alert.kind === kind);
  return kept.sort(order === "newest" ? newest : worst);
}

/** How many there are of each kind, in the order given; those of which there are none are left out. */
export function kindCounts(
  alerts: readonly Pick<Listable, "kind">[],
  kinds: readonly string[],
): readonly (readonly [kind: string, count: number])[] {
  const counts = new Map<string, number>(kinds.map((kind) => [kind, 0]));
  for (const { kind } of alerts) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 0);
}

/** What tells an alert from all others, as a link carries it. */
export interface AlertKey {
  readonly run: string;
  readonly step: number;
  /** The kind; of a finding its name. */
  readonly kind: string;
}

export function alertKey(alert: Pick<Listable, "run" | "step" | "kind" | "finding">): AlertKey {
  return { run: alert.run, step: alert.step, kind: alert.finding ?? alert.kind };
}

export function isSame(a: AlertKey | null, b: AlertKey): boolean {
  return a !== null && a.run === b.run && a.step === b.step && a.kind === b.kind;
}

/** Where an alert lies; `end` is the first step after its episode, null while it lasts or where it has none. */
export interface Episode {
  readonly step: number;
  readonly start: number | null;
  readonly end: number | null;
}

/** How far a step lies from an alert, or from its episode where it lies outside. */
export function distanceWords(step: number, alert: Episode): string {
  const { start, end } = alert;
  if (step === alert.step) return "the step of the selected alert";
  if (start !== null && step < start) {
    return `${plural(start - step, "step")} before the selected alert began`;
  }
  if (end !== null && step >= end) {
    return `${plural(step - end + 1, "step")} after the selected alert was over`;
  }
  const far = plural(Math.abs(step - alert.step), "step");
  const words = `${far} ${step < alert.step ? "before" : "after"} the selected alert`;
  return start === null ? words : `${words}, while it lasted`;
}
