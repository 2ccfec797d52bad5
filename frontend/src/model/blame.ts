// The blame timeline: by how much the norm of every parameter rose above what it had been, step by step.

import { integer, plural } from "./format";

export interface FlightTable {
  readonly step: number;
  readonly parameters: readonly string[];
  readonly steps: Float64Array;
  readonly norms: readonly ArrayLike<number>[];
}

export interface BlameLine {
  readonly name: string;
  /** Steps before the alert at which it left its past; null for one that did not. */
  readonly lead: number | null;
  /** Norm over the usual one, for each step; NaN where the norm or the usual one is not a number. */
  readonly ratio: Float64Array;
  /** Median of its finite norms before anything departed; NaN if it had none, or only zeros. */
  readonly usual: number;
  readonly norms: ArrayLike<number>;
}

/** Others than those that departed, for comparison. */
const MOST_OTHERS = 8;

/**
 * A line for every parameter that departed, in the order in which they did, then for some that did not. The usual
 * norm is the median over the steps before the first departure, or before the alert where nobody departed; in a
 * flight without such steps, over all of it.
 */
export function blameLines(
  flight: FlightTable,
  departures: readonly (readonly [string, number])[],
): BlameLine[] {
  const leads = new Map(departures);
  const firstLead = Math.max(0, ...leads.values());
  const past = flight.steps.filter((step) => step < flight.step - firstLead).length;
  const lines = flight.parameters.map((name, p): BlameLine => {
    const norms = flight.norms[p] ?? [];
    const usual = median(Array.from(norms).slice(0, past > 0 ? past : undefined));
    const ratio = Float64Array.from(norms, (norm) => norm / usual);
    return { name, lead: leads.get(name) ?? null, ratio, usual, norms };
  });
  const departed = departures.flatMap(([name]) => lines.find((line) => line.name === name) ?? []);
  const others = lines.filter((line) => line.lead === null).slice(0, MOST_OTHERS);
  return [...departed, ...others];
}

/** Median of what is finite; NaN where that is nothing, or 0, to which nothing compares. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  const result = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
  return result > 0 ? result : NaN;
}

/** When a parameter left its past, relative to the alert. */
export function leadWords(lead: number): string {
  if (lead === 0) return "at the alert's step";
  return lead > 0 ? `${plural(lead, "step")} before` : `${plural(-lead, "step")} after`;
}

/** The order of departure in a sentence. */
export function orderWords(
  kind: string,
  departures: readonly (readonly [string, number])[],
): string {
  const [first, ...others] = departures;
  if (!first) {
    return kind === "nonfinite"
      ? "All parameters were NaN or infinite at once, so none is to blame first."
      : "No parameter's share of the norm left its past: they moved together, as they do when the learning rate is too high.";
  }
  const verb = kind === "nonfinite" ? "broke" : "left its past";
  const rest = others.map(([name, lead]) => `${name} ${leadWords(lead)}`).join(", ");
  return `${first[0]} ${verb} ${leadWords(first[1])}${rest ? `, then ${rest}` : ""}.`;
}

/** Why an alert has no norms step by step; null for one that may have them. */
export function whyNoFlight(alert: {
  readonly kind: string;
  readonly computed?: boolean | undefined;
}): string | null {
  if (alert.kind === "lint") {
    return "A finding is about how clipping is set up, not about one step: it has no timeline.";
  }
  if (alert.computed === true) {
    return "This alert was found in recorded scalars when they were read. Norms of single parameters were not recorded.";
  }
  return null;
}

/** What there is to say of an alert that no norms came for. */
export const NO_FLIGHT =
  "There are no norms of single steps around this alert: they are kept around the first alerts of a run only, and come a moment after an alert.";

/** A ratio as people read it: ×35, ×0.4. */
export function timesWords(ratio: number): string {
  if (Number.isNaN(ratio)) return "–";
  if (!Number.isFinite(ratio)) return "∞";
  return `×${ratio >= 100 ? integer(Math.round(ratio)) : Number(ratio.toPrecision(2))}`;
}
