// Alerts in few words, for the health table and for markers.

import { integer } from "./format";
import type { MarkerSeverity } from "./markers";

export interface HealthAlert {
  readonly step: number;
  readonly kind: "nonfinite" | "divergence" | "spike";
  readonly severity: MarkerSeverity;
  readonly message: string;
}

export interface Chip {
  readonly text: string;
  readonly severity: MarkerSeverity | "ok";
  /** First step of what the chip sums up; null when nothing happened. */
  readonly step: number | null;
}

const ORDER = ["divergence", "nonfinite", "spike"] as const;
const PLURAL = { divergence: "divergences", nonfinite: "non-finite", spike: "spikes" } as const;

/** One chip for each kind that occurred: `diverged 612`, `12 spikes`; `none` otherwise. */
export function chips(alerts: readonly HealthAlert[]): readonly Chip[] {
  const result: Chip[] = [];
  for (const kind of ORDER) {
    const found = alerts.filter((alert) => alert.kind === kind);
    const first = found[0];
    if (!first) continue;
    const severity = found.some((a) => a.severity === "error")
      ? "error"
      : found.some((a) => a.severity === "warning")
        ? "warning"
        : "info";
    const text =
      found.length === 1
        ? `${alertLabel(first)} ${integer(first.step)}`
        : `${integer(found.length)} ${PLURAL[kind]}`;
    result.push({ text, severity, step: first.step });
  }
  return result.length > 0 ? result : [{ text: "none", severity: "ok", step: null }];
}

/** What one alert says by itself. */
export function alertLabel(alert: Pick<HealthAlert, "kind" | "message">): string {
  if (alert.kind === "divergence") return "diverged";
  if (alert.kind === "spike") return "spike";
  if (/\bnan\b/i.test(alert.message)) return "NaN";
  return /\binf/i.test(alert.message) ? "Inf" : "non-finite";
}

export function alertPlural(kind: HealthAlert["kind"]): string {
  return PLURAL[kind];
}

/** The word a tooltip starts with. */
export function alertTitle(kind: string): string {
  if (kind === "divergence") return "Divergence";
  if (kind === "nonfinite") return "Not finite";
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

/** The sentence about an alert's parameter. */
export function blameLabel(kind: string): string {
  return kind === "nonfinite" ? "First not finite" : "First to rise";
}
