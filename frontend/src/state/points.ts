// Rows of the selected runs, placed on the horizontal axis, and the colours of runs.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Axis, Column, Run, Series } from "../api";
import { envelope, type Envelope } from "../model/envelope";
import { reordered, sortingOrder } from "../model/lines";
import { extent, prefersLog } from "../model/ranges";
import { axis, colours, scales, selectedRuns, series, theme } from "./signals";

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
      lines.set(column, onAxis(one, run, axis.value));
    }
    result.set(run.name, lines);
  }
  return result;
});

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
    if (one?.reduced) result.set(name, envelope(one.x, one.y, log));
  }
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
