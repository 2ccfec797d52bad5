// What another threshold would have done, between the points of the curve that the server sent.

import { integer, number, percent, shortPercent } from "./format";
import { clamp, type Range } from "./ranges";
import type { Cell } from "./table";

export interface Outcome {
  readonly threshold: number;
  /** Share of steps whose norm is above the threshold; null where no step counts. */
  readonly clip_rate: number | null;
  /** Share of gradient length that clipping there removes. */
  readonly throttle: number | null;
}

/** By ascending threshold; empty if no norm is above 0. */
export interface Curve {
  readonly thresholds: readonly number[];
  readonly clip_rate: readonly number[];
  readonly throttle: readonly number[];
}

/** The norm is told in thousands of these at most: further out nothing happens but to the outliers themselves. */
const FAR = 1000;
/** Share of steps that count as outliers, on either side. */
const FEW = 0.001;
/** Places of a slider that differ. */
const PLACES = 300;
/** Arrow keys cross the axis in so many steps. */
const KEY_STEPS = 100;

/**
 * The horizontal axis: from where all is clipped to where nothing is, unless single norms lie thousands of times
 * further out; and `also`, which must show.
 */
export function axisRange({ thresholds, clip_rate }: Curve, also: readonly number[]): Range | null {
  const first = thresholds[0];
  const last = thresholds[thresholds.length - 1];
  const most = clip_rate[0];
  if (first === undefined || last === undefined || most === undefined) return null;
  const crossing = (share: number): number =>
    thresholds[clip_rate.findIndex((rate) => rate <= share)] ?? last;
  const shown = also.filter((value) => value > 0 && Number.isFinite(value));
  return [
    Math.min(
      Math.max(first, crossing(most * (1 - FEW)) / FAR),
      ...shown.map((value) => value / 1.3),
    ),
    Math.max(Math.min(last, crossing(FEW) * FAR), ...shown.map((value) => value * 1.3)),
  ];
}

/** How far what is read off a curve may be from the truth: no further than its neighbouring points are apart. */
export function resolution({ clip_rate, throttle }: Curve): number {
  const steps = [clip_rate, throttle].flatMap((line) =>
    line.slice(1).map((value, i) => Math.abs(value - (line[i] as number))),
  );
  return Math.max(0, ...steps);
}

/** How exact both shares are at a threshold between the points. */
export function resolutionWords(curve: Curve | null): string {
  if (!curve || curve.thresholds.length === 0) return "";
  const within = (Math.ceil(resolution(curve) * 1000) / 10).toFixed(1);
  return `Read off a curve of ${integer(curve.thresholds.length)} thresholds: both shares to within ${within}\u202f%.`;
}

/** Between points by proportion on a logarithmic axis; beyond the first one, where all is clipped, exact. */
export function outcomeAt(curve: Curve, threshold: number): Outcome | null {
  const { thresholds, clip_rate, throttle } = curve;
  const n = thresholds.length;
  if (n === 0) return null;
  const next = thresholds.findIndex((other) => other >= threshold);
  if (next < 0)
    return { threshold, clip_rate: clip_rate[n - 1] ?? 0, throttle: throttle[n - 1] ?? 0 };
  const at = thresholds[next] as number;
  if (next === 0) {
    const kept = (1 - (throttle[0] as number)) * (threshold / at);
    return { threshold, clip_rate: clip_rate[0] as number, throttle: 1 - kept };
  }
  const before = thresholds[next - 1] as number;
  const share = Math.log(threshold / before) / Math.log(at / before);
  const mixed = (values: readonly number[]): number => {
    const [low, high] = [values[next - 1] as number, values[next] as number];
    return low + (high - low) * share;
  };
  return { threshold, clip_rate: mixed(clip_rate), throttle: mixed(throttle) };
}

/** With no more digits than it takes to tell places on the axis apart, three at least: 1.42 and not 1.4186233. */
export function tidy(threshold: number, range: Range): number {
  const spacing = (range[1] / range[0]) ** (1 / PLACES) - 1;
  const digits = clamp(Math.ceil(0.7 - Math.log10(spacing)), 3, 12);
  return Number(threshold.toPrecision(digits));
}

/** The threshold at a share of the axis. */
export function thresholdAt(share: number, range: Range): number {
  return tidy(range[0] * (range[1] / range[0]) ** clamp(share, 0, 1), range);
}

export function shareOnAxis(threshold: number, range: Range): number {
  return clamp(Math.log(threshold / range[0]) / Math.log(range[1] / range[0]), 0, 1);
}

/** So many key presses further up the axis; infinitely many reach its end. */
export function nudged(threshold: number, range: Range, presses: number): number {
  const share = shareOnAxis(threshold, range) + presses / KEY_STEPS;
  return thresholdAt(share, range);
}

/** 1.42, with as many digits as it has. */
export function exact(threshold: number): string {
  const short = Number(threshold.toPrecision(3)) === threshold;
  return short && threshold < 1e6 ? number(threshold) : String(threshold);
}

/** 1.42 clips 10 % of steps, throttle 2.9 %. */
export function outcomeWords({ threshold, clip_rate, throttle }: Outcome): string {
  return `${exact(threshold)} clips ${percent(clip_rate)} of steps, throttle ${shortPercent(throttle)}`;
}

/** A curve as a table: a row for each of its points, below the headings. */
export function curveCells({ run, ...curve }: Curve & { readonly run: string }): Cell[][] {
  const rows = curve.thresholds.map((threshold, i): Cell[] => {
    return [run, threshold, curve.clip_rate[i] ?? NaN, curve.throttle[i] ?? NaN];
  });
  return [["run", "threshold", "clip_rate", "throttle"], ...rows];
}

export interface Covered {
  readonly steps: number;
  readonly range: readonly [number, number] | null;
}

/** Which steps an answer is about; `wanted` is the first one that was asked for. */
export function coverageWords({ steps, range }: Covered, wanted: number): string {
  if (!range) return "no steps";
  const between = `steps ${integer(range[0])} to ${integer(range[1])}`;
  return range[0] > wanted ? `newest ${integer(steps)}, ${between}` : between;
}

const OTHER_RULES: Readonly<Record<string, string>> = {
  none: "This run does not clip.",
  norm: "This run clips each variable by its own norm.",
  value: "This run clips values.",
  adaptive: "This run clips with thresholds of its own.",
  custom: "This run clips in its own way.",
};

/** For a run whose own threshold is not on the axis: what the axis is about. */
export function ruleWords(kind: string): string | null {
  const own = OTHER_RULES[kind];
  return own ? `${own} Thresholds here are for the norm of all gradients together.` : null;
}
