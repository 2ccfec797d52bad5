// Rows of the selected runs, placed on the horizontal axis, and the colours of runs.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Axis, Column, Run, Series } from "../api";
import { envelope, type Envelope } from "../model/envelope";
import { reordered, sortingOrder } from "../model/lines";
import { extent, prefersLog } from "../model/ranges";
import { axis, colours, failure, scales, selectedRuns, series, theme, UNFINISHED } from "./signals";

export interface Points {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly step: Float64Array;
  /** Whether there are steps between these rows that were left out. */
  readonly reduced: boolean;
  readonly low: Float64Array | null;
  readonly high: Float64Array | null;
}

export type RunLines = ReadonlyMap<Column, Points>;

/** Lines of each selected run on the current axis. */
export const points = computed<ReadonlyMap<string, RunLines>>(() => {
  const result = new Map<string, RunLines>();
  for (const run of selectedRuns.value) {
    const lines = new Map<Column, Points>();
    for (const [column, one] of series.value.get(run.name)?.columns ?? []) {
      lines.set(column, placed(one, run, axis.value));
    }
    result.set(run.name, lines);
  }
  return result;
});

/** What to say while none of the selected runs has a line of this column; null once one has. */
export function unread(column: Column): string | null {
  if (selectedRuns.value.some((run) => series.value.get(run.name)?.columns.has(column)))
    return null;
  return failure.value === null ? "reading…" : "could not be read";
}

/** Whether no run has all of its lines yet: what else there is to show and to ask for waits until one has. */
export const isOpening = computed(
  () =>
    failure.value === null && ![...series.value.values()].some((run) => run.request !== UNFINISHED),
);

export function colourOf(run: Pick<Run, "name">): string {
  return colours.value.get(run.name) ?? theme.value.faint;
}

export const lossIsLog = computed(() => {
  const choice = scales.value.loss;
  if (choice !== "auto") return choice === "log";
  const ranges = selectedRuns.value.flatMap((r) => series.value.get(r.name)?.lossRange ?? []);
  return prefersLog(extent([ranges]));
});
export const normIsLog = computed(() => scales.value.norm !== "linear");

type Envelopes = ReadonlyMap<string, Envelope>;

/** Bands of the selected runs whose line was reduced; kept while one only zooms or points. */
export const envelopes: Readonly<
  Record<"loss" | "norm_before" | "norm_after", ReadonlySignal<Envelopes>>
> = {
  loss: computed(() => envelopesOf("loss", lossIsLog.value)),
  norm_before: computed(() => envelopesOf("norm_before", normIsLog.value)),
  norm_after: computed(() => envelopesOf("norm_after", normIsLog.value)),
};

function envelopesOf(column: Column, log: boolean): Envelopes {
  const result = new Map<string, Envelope>();
  for (const [name, lines] of points.value) {
    const one = lines.get(column);
    if (one?.reduced) result.set(name, envelopeOf(one, log));
  }
  return result;
}

/** Lines that did not change keep their rows and bands while others arrive. */
const placedLines = new WeakMap<Series, { readonly key: string; readonly points: Points }>();
const envelopesOfLines = new WeakMap<
  Points,
  { readonly log: boolean; readonly envelope: Envelope }
>();

function placed(one: Series, run: Run, on: Axis): Points {
  const key = on === "relative" ? `${on} ${run.first_wall_time}` : on;
  const known = placedLines.get(one);
  if (known?.key === key) return known.points;
  const result = onAxis(one, run, on);
  placedLines.set(one, { key, points: result });
  return result;
}

function envelopeOf(one: Points, log: boolean): Envelope {
  const known = envelopesOfLines.get(one);
  if (known?.log === log) return known.envelope;
  const result = envelope(one.x, one.y, log);
  envelopesOfLines.set(one, { log, envelope: result });
  return result;
}

function onAxis(one: Series, run: Run, on: Axis): Points {
  const start = run.first_wall_time;
  const x =
    on === "step"
      ? one.step
      : on === "relative"
        ? one.wall_time.map((time) => time - start)
        : one.wall_time;
  const order = sortingOrder(x);
  const sorted = (values: Float64Array): Float64Array =>
    order ? reordered(values, order) : values;
  return {
    x: sorted(x),
    y: sorted(one.value),
    step: sorted(one.step),
    reduced: one.value.length < one.total,
    low: one.low && sorted(one.low),
    high: one.high && sorted(one.high),
  };
}

export function place(step: number, wallTime: number, run: Run, on: Axis): number {
  if (on === "step") return step;
  return on === "relative" ? wallTime - run.first_wall_time : wallTime;
}
