// What an axis means. Charts draw on straight lines only: a scale projects values to positions on such a line and
// says where its ticks belong. Ticks carry values, so the same scale serves a canvas and an SVG.

import { duration, power } from "./format";
import type { Range } from "./ranges";

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface Scale {
  readonly project: (value: number) => number;
  readonly invert: (position: number) => number;
  /** Ascending ticks within the range of values, about `most` of them. */
  readonly ticks: (range: Range, most: number) => readonly Tick[];
}

export type ScaleName = "linear" | "log" | "share" | "step" | "relative" | "wall_time";

const identity = (value: number): number => value;

export const SCALES: Readonly<Record<ScaleName, Scale>> = {
  linear: { project: identity, invert: identity, ticks: linearTicks },
  log: { project: Math.log10, invert: (position) => 10 ** position, ticks: logTicks },
  share: { project: identity, invert: identity, ticks: shareTicks },
  step: { project: identity, invert: identity, ticks: stepTicks },
  relative: { project: identity, invert: identity, ticks: durationTicks },
  wall_time: { project: identity, invert: identity, ticks: timeTicks },
};

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const TIME_INCREMENTS = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * DAY),
];

function linearTicks(range: Range, most: number): readonly Tick[] {
  const step = niceStep((range[1] - range[0]) / most);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const largest = Math.max(Math.abs(range[0]), Math.abs(range[1]));
  const exponential = digits > 4 || largest >= 1e6;
  return multiples(range, step).map((value) => ({
    value,
    label: exponential ? shortExponent(value) : grouped(value.toFixed(digits)),
  }));
}

/** Steps are whole: zoomed in far, ticks stay whole as well. */
function stepTicks(range: Range, most: number): readonly Tick[] {
  const step = Math.max(1, niceStep((range[1] - range[0]) / most));
  return multiples(range, step).map((value) => ({ value, label: stepLabel(value, step) }));
}

function stepLabel(value: number, step: number): string {
  if (step >= 100_000) return value === 0 ? "0" : `${grouped(String(value / 1e6))}M`;
  return grouped(String(value));
}

function shareTicks(range: Range, most: number): readonly Tick[] {
  const step = niceStep((range[1] - range[0]) / most);
  return multiples(range, step).map((value) => ({
    value,
    label: `${Number((value * 100).toFixed(6))}%`,
  }));
}

/** Powers of ten; between closer bounds also their threes, or doubles and fives; within an octave or so, even steps. */
function logTicks(range: Range, most: number): readonly Tick[] {
  const decades = Math.log10(range[1] / range[0]);
  if (decades < 0.6) return linearTicks(range, most);
  const factors = decades < 2 ? [1, 2, 5] : 2 * decades <= most ? [1, 3] : [1];
  const stride = Math.max(1, Math.ceil(decades / Math.max(most, 1)));
  const result: Tick[] = [];
  const first = Math.floor(Math.log10(range[0]));
  const last = Math.ceil(Math.log10(range[1]));
  for (let exponent = first; exponent <= last; exponent++) {
    if (exponent % stride !== 0) continue;
    for (const factor of factors) {
      const value = Number(`${factor}e${exponent}`);
      if (value >= range[0] && value <= range[1]) result.push({ value, label: power(value) });
    }
  }
  return result;
}

function durationTicks(range: Range, most: number): readonly Tick[] {
  const wanted = (range[1] - range[0]) / most;
  if (wanted < 1) {
    const step = niceStep(wanted);
    return multiples(range, step).map((value) => ({ value, label: `${value} s` }));
  }
  return multiples(range, timeIncrement(wanted)).map((value) => ({
    value,
    label: value === 0 ? "0" : duration(value).replace(/ 00 [smh]$/, ""),
  }));
}

/** Aligned to the reader's own clock; a tick at midnight names its day. */
function timeTicks(range: Range, most: number): readonly Tick[] {
  const wanted = (range[1] - range[0]) / most;
  const step = wanted < 1 ? niceStep(wanted) : timeIncrement(wanted);
  const offset = new Date(range[0] * 1000).getTimezoneOffset() * MINUTE;
  return multiples([range[0] - offset, range[1] - offset], step).map((local) => {
    const value = local + offset;
    return { value, label: timeLabel(new Date(value * 1000), step) };
  });
}

function timeLabel(date: Date, step: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const midnight = date.getHours() + date.getMinutes() + date.getSeconds() === 0;
  if (midnight || step >= DAY) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step >= MINUTE) return clock;
  const seconds = date.getSeconds() + date.getMilliseconds() / 1000;
  return `${clock}:${step >= 1 ? two(Math.round(seconds)) : seconds.toFixed(2).padStart(5, "0")}`;
}

function timeIncrement(wanted: number): number {
  return TIME_INCREMENTS.find((increment) => increment >= wanted) ?? niceStep(wanted / DAY) * DAY;
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `wanted`. */
export function niceStep(wanted: number): number {
  if (!(wanted > 0) || !Number.isFinite(wanted)) return 1;
  const exponent = Math.floor(Math.log10(wanted));
  for (const factor of [1, 2, 5]) {
    const step = Number(`${factor}e${exponent}`);
    if (step >= wanted * (1 - 1e-9)) return step;
  }
  return Number(`1e${exponent + 1}`);
}

function multiples(range: Range, step: number): number[] {
  const result: number[] = [];
  const first = Math.ceil(range[0] / step - 1e-9);
  const last = Math.floor(range[1] / step + 1e-9);
  // Multiplying by a fraction leaves rounding dirt such as 0.30000000000000004; dividing by its inverse does not.
  const inverse = Math.round(1 / step);
  for (let i = first; i <= last && result.length < 1000; i++) {
    result.push((step < 1 ? i / inverse : i * step) + 0); // + 0: no negative zero
  }
  return result;
}

function grouped(digits: string): string {
  const [whole = "", fraction] = digits.replace("-", "\u2212").split(".");
  const separated = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? separated : `${separated}.${fraction}`;
}

function shortExponent(value: number): string {
  if (value === 0) return "0";
  return Number(value.toPrecision(3)).toExponential().replace("e+", "e").replace(/-/g, "\u2212");
}
