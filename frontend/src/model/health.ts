// Alerts and findings in few words, for the health table and for markers.

import { integer, number } from "./format";
import type { MarkerSeverity } from "./markers";

/** Events in the order in which they matter: what each is called by itself, several of it, and in a sentence. */
const KINDS = {
  divergence: { label: "diverged", plural: "divergences", title: "Divergence" },
  nonfinite: { label: "non-finite", plural: "non-finite", title: "Not finite" },
  spike: { label: "spike", plural: "spikes", title: "Spike" },
  explosion: { label: "norm exploded", plural: "exploding norms", title: "Exploding norm" },
  zero_step: { label: "zero step", plural: "zero steps", title: "Step of zero" },
  vanishing: { label: "vanishing", plural: "vanishing", title: "Vanishing gradient" },
  regime: { label: "clip rate changed", plural: "clip rate changes", title: "Clip rate changed" },
  plateau: { label: "plateau", plural: "plateaus", title: "Plateau" },
} as const;

type EventKind = keyof typeof KINDS;

/** All kinds of alerts, events in the order in which they matter, then findings. */
export const ALERT_KINDS: readonly HealthAlert["kind"][] = [
  ...(Object.keys(KINDS) as EventKind[]),
  "lint",
];

export interface HealthAlert {
  readonly step: number;
  readonly kind: EventKind | "lint";
  readonly severity: MarkerSeverity;
  readonly message: string;
  /** Whether it was computed afterwards, from the points of a scalar. */
  readonly computed: boolean;
}

/** An alert that says how clipping is set up: of kind `lint`. */
export interface Finding extends HealthAlert {
  readonly finding: string | null;
  readonly remedy: string | null;
}

export interface Chip {
  readonly text: string;
  readonly severity: MarkerSeverity | "ok";
  /** The first of what it sums up; null when nothing happened. */
  readonly first: Pick<HealthAlert, "kind" | "step"> | null;
  /** Whether all it sums up was computed afterwards. */
  readonly computed: boolean;
}

/** One chip for each kind that occurred: `diverged 612`, `12 spikes`; `none` otherwise. */
export function chips(alerts: readonly HealthAlert[]): readonly Chip[] {
  const result: Chip[] = [];
  for (const kind of Object.keys(KINDS) as EventKind[]) {
    const found = alerts.filter((alert) => alert.kind === kind);
    const first = found[0];
    if (!first) continue;
    const severity = worst(found);
    const text =
      found.length === 1
        ? `${alertLabel(first)} ${integer(first.step)}`
        : `${integer(found.length)} ${KINDS[kind].plural}`;
    const computed = found.every((alert) => alert.computed);
    result.push({ text, severity, first: { kind, step: first.step }, computed });
  }
  if (result.length > 0) return result;
  return [{ text: "none", severity: "ok", first: null, computed: false }];
}

/** Whether it is an event at its step, to be marked on charts. A finding is about the run: its step is a detail. */
export function isEvent<T extends HealthAlert>(alert: T): alert is T & { kind: EventKind } {
  return alert.kind !== "lint";
}

/** Whether charts mark it: that the clip rate changed, its own curve shows. */
export function isMarked<T extends HealthAlert>(alert: T): alert is T & { kind: EventKind } {
  return isEvent(alert) && alert.kind !== "regime";
}

export interface LintWords {
  /** The finding's name, or how many there are. */
  readonly text: string;
  readonly severity: MarkerSeverity;
  /** What each finding says and what to do about it. */
  readonly sentences: readonly string[];
}

/** What there is to say about how clipping is set up; null if nothing. */
export function lintWords(alerts: readonly Finding[]): LintWords | null {
  const found = alerts.filter((alert) => !isEvent(alert));
  const first = found[0];
  if (!first) return null;
  return {
    text:
      found.length === 1
        ? (first.finding ?? "lint").replaceAll("_", " ")
        : `${found.length} findings`,
    severity: worst(found),
    sentences: found.map(({ step, message, remedy }) =>
      `Step ${integer(step)}: ${message}. ${remedy ?? ""}`.trimEnd(),
    ),
  };
}

/** What one alert says by itself. */
export function alertLabel(alert: Pick<HealthAlert, "kind" | "message">): string {
  if (alert.kind !== "nonfinite" && alert.kind !== "lint") return KINDS[alert.kind].label;
  if (/\bnan\b/i.test(alert.message)) return "NaN";
  return /\binf/i.test(alert.message) ? "Inf" : "non-finite";
}

export function alertPlural(kind: EventKind): string {
  return KINDS[kind].plural;
}

function worst(alerts: readonly HealthAlert[]): MarkerSeverity {
  const has = (severity: MarkerSeverity): boolean => alerts.some((a) => a.severity === severity);
  return has("error") ? "error" : has("warning") ? "warning" : "info";
}

/** The word a tooltip starts with. */
export function alertTitle(kind: HealthAlert["kind"]): string {
  return kind === "lint" ? "Lint" : KINDS[kind].title;
}

export interface Episode {
  readonly kind: string;
  readonly start: number | null;
  readonly peak: number | null;
  readonly peak_step: number | null;
  readonly end: number | null;
  readonly recovered: boolean;
}

/** How it went on; null for what is over when it is told, and for what does not last. */
export function episodeWords(episode: Episode): string | null {
  const { kind, start, peak, peak_step, end, recovered } = episode;
  if (kind === "spike" || start === null) return null;
  if (peak === null || peak_step === null) {
    return end === null ? "Not over so far" : `Over at step ${integer(end)}`;
  }
  const ending =
    end === null
      ? "not back so far"
      : `${recovered ? "back" : "taken for the new level"} at step ${integer(end)}`;
  return `Peak ${number(peak)} at step ${integer(peak_step)}, ${ending}`;
}

/** A scalar that stands for the loss, and how many points of it TensorBoard kept. */
export interface LossPoints {
  readonly tag: string | null;
  readonly points: number | null;
}

/** What a computed alert was computed from, which is not the whole loss. */
export function computedWords({ tag, points }: LossPoints): string {
  const kept = `${integer(points ?? 0)} of the run`;
  return `Computed from the points of ${tag ?? ""} that TensorBoard kept (${kept})`;
}

const MOST_NAMES = 3;

/** Who went first and who followed: `First to rise: rnn.bias, 3 steps before, then head.bias`; null if nobody did. */
export function blameWords(
  kind: string,
  departures: readonly (readonly [string, number])[],
): { readonly label: string; readonly first: string; readonly rest: string } | null {
  const [first, ...others] = departures;
  if (!first) return null;
  const [name, lead] = first;
  const when = lead > 0 ? `, ${integer(lead)} step${lead === 1 ? "" : "s"} before` : "";
  const named = others.slice(0, MOST_NAMES - 1).map(([other]) => other);
  const more = others.length > named.length ? ` and ${others.length - named.length} more` : "";
  const then = named.length > 0 ? `, then ${named.join(", ")}${more}` : "";
  const did: Readonly<Record<string, string>> = { nonfinite: "not finite", vanishing: "to vanish" };
  return { label: `First ${did[kind] ?? "to rise"}`, first: name, rest: `${when}${then}` };
}
