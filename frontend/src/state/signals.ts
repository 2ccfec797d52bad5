// What the dashboard knows. Signals are set by the actions below and by effects.ts; views only read them.

import { batch, computed, signal } from "@preact/signals";
import type { Axis, Column, Histogram, Run, Series } from "../api";
import type { AlertItem } from "../model/chart";
import { assignSlots, colour, type Slots } from "../model/colours";
import { DEFAULTS, type Settings } from "../model/link";
import type { Marker } from "../model/markers";
import { within, type Range } from "../model/ranges";
import { compileSearch } from "../model/search";
import { LIGHT, type Theme } from "../theme";

export type ChartName = "loss" | "norm" | "clip-rate";
export type ScaleChoice = "auto" | "log" | "linear";

/** Lines of one run, and the request that they answer. */
export interface RunSeries {
  readonly request: string;
  readonly columns: ReadonlyMap<Column, Series>;
  /** Range of the loss over the whole run, which decides between log and linear however far one zooms. */
  readonly lossRange: Range | null;
}

export interface ShownHistogram {
  readonly answer: Histogram;
  /** How many steps of the run had one when this was fetched. */
  readonly recorded: number;
}

/** A window as long as any run. */
export const WHOLE_RUN = 1_000_000_000;
/** With more runs than this, the rest start unchecked. */
export const FIRST_SELECTED = 20;

/** Every run with gradclip data; null until the first answer. */
export const runs = signal<readonly Run[] | null>(null);
/** Why the newest request for runs or series failed; null when it did not. */
export const failure = signal<string | null>(null);
/** Counts recoveries from a failure: everything that may be missing since is asked for again. */
export const recoveries = signal(0);
/** The run filter as typed. */
export const search = signal(DEFAULTS.search);
/** Runs that the user checked; null while the choice is ours. */
export const chosen = signal<ReadonlySet<string> | null>(DEFAULTS.runs);
/** What the horizontal axis measures. */
export const axis = signal<Axis>(DEFAULTS.axis);
/** Steps that the clip rate looks back over. */
export const window = signal(DEFAULTS.window);
/** Weight of the past in the smoothed lines, 0 to below 1. */
export const smoothing = signal(DEFAULTS.smoothing);
/** How the vertical axes of loss and norm are divided. */
export const scales = signal<Readonly<Record<"loss" | "norm", ScaleChoice>>>({
  loss: "auto",
  norm: "log",
});
/** The part of the horizontal axis shown; null for all of it. */
export const zoom = signal<Range | null>(DEFAULTS.zoom);
/** Where the pointer is on the horizontal axis, and in which chart. */
export const cursor = signal<{ readonly x: number; readonly chart: ChartName } | null>(null);
/** The marker that is pointed at or focused. */
export const marker = signal<Marker<AlertItem> | null>(null);
/** The step whose distribution stays when the pointer leaves. */
export const pinnedStep = signal<number | null>(DEFAULTS.step);
/** The run whose distribution is shown, if the user picked one. */
export const focusChoice = signal<string | null>(DEFAULTS.focus);
/** The parameter whose distribution is shown; null for all together. */
export const parameter = signal<string | null>(null);
/** Lines by run name. Old ones stay until their successors arrive. */
export const series = signal<ReadonlyMap<string, RunSeries>>(new Map());
/** The distribution shown, or why there is none. */
export const histogram = signal<ShownHistogram | { readonly error: string } | null>(null);
/** Width of the charts in pixels, which is how many points are worth fetching; 0 until they are laid out. */
export const plotWidth = signal(0);
/** Colours of the page around us. */
export const theme = signal<Theme>(LIGHT);

export const filter = computed(() => compileSearch(search.value));
export const listedRuns = computed(() =>
  (runs.value ?? []).filter((run) => filter.value.matches(run.name)),
);
export const selectedNames = computed<ReadonlySet<string>>(
  () => chosen.value ?? new Set((runs.value ?? []).slice(0, FIRST_SELECTED).map((r) => r.name)),
);
export const selectedRuns = computed(() =>
  (runs.value ?? []).filter((run) => selectedNames.value.has(run.name)),
);

let slots: Slots = new Map(); // a run keeps its colour while others come and go
export const colours = computed<ReadonlyMap<string, string>>(() => {
  slots = assignSlots(
    (runs.value ?? []).map((run) => run.name),
    slots,
  );
  return new Map([...slots].map(([name, slot]) => [name, colour(slot, theme.value.dark)]));
});

/** All of the horizontal axis that selected runs cover. */
export const fullRange = computed<Range>(() => {
  const ends = selectedRuns.value.map((run) => runRange(run, axis.value));
  if (ends.length === 0) return [0, 1];
  const low = Math.min(...ends.map((end) => end[0]));
  const high = Math.max(...ends.map((end) => end[1]));
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
});
export const shownRange = computed<Range>(() => zoom.value ?? fullRange.value);

/**
 * The run whose distribution is shown: the one picked while it is selected, else the first that
 * clips and has any.
 */
export const focus = computed<Run | null>(() => {
  const candidates = selectedRuns.value;
  return (
    candidates.find((run) => run.name === focusChoice.value) ??
    candidates.find((run) => run.histogram_steps > 0 && run.rule.kind !== "none") ??
    candidates.find((run) => run.histogram_steps > 0) ??
    candidates[0] ??
    null
  );
});

/** What to say while none of the selected runs has any line; null once one has. */
export const unread = computed(() => {
  if (selectedRuns.value.some((run) => series.value.has(run.name))) return null;
  return failure.value === null ? "reading…" : "could not be read";
});

function runRange(run: Run, on: Axis): Range {
  if (on === "step") return [run.first_step, run.last_step];
  if (on === "relative") return [0, run.last_wall_time - run.first_wall_time];
  return [run.first_wall_time, run.last_wall_time];
}

export function toggleRun(name: string): void {
  const next = new Set(selectedNames.value);
  if (!next.delete(name)) next.add(name);
  chosen.value = next;
}

/** Shows this run alone; if it is alone already, all that the filter lists. */
export function selectOnly(name: string): void {
  const current = selectedNames.value;
  const alone = current.size === 1 && current.has(name);
  chosen.value = new Set(alone ? listedRuns.value.map((run) => run.name) : [name]);
}

export function selectListed(selected: boolean): void {
  const next = new Set(selectedNames.value);
  for (const run of listedRuns.value) {
    if (selected) next.add(run.name);
    else next.delete(run.name);
  }
  chosen.value = next;
}

export function setAxis(next: Axis): void {
  batch(() => {
    axis.value = next;
    zoom.value = null; // a range of steps means nothing in seconds
    cursor.value = null;
  });
}

/** Shows this part of the axis, kept within what there is; all of it when the part is as large. */
export function zoomTo(range: Range | null): void {
  if (!range) {
    zoom.value = null;
    return;
  }
  const full = fullRange.value;
  const least = axis.value === "step" ? 2 : (full[1] - full[0]) / 1e6;
  const middle = (range[0] + range[1]) / 2;
  const half = Math.max(range[1] - range[0], least) / 2;
  const next = within([middle - half, middle + half], full);
  zoom.value = next[0] <= full[0] && next[1] >= full[1] ? null : next;
}

export function setFocus(name: string): void {
  batch(() => {
    focusChoice.value = name;
    parameter.value = null;
  });
}

export function applySettings(settings: Settings): void {
  batch(() => {
    chosen.value = settings.runs;
    search.value = settings.search;
    axis.value = settings.axis;
    window.value = settings.window;
    smoothing.value = settings.smoothing;
    zoom.value = settings.zoom;
    pinnedStep.value = settings.step;
    focusChoice.value = settings.focus;
  });
}

export const settings = computed<Settings>(() => ({
  runs: chosen.value,
  search: search.value,
  axis: axis.value,
  window: window.value,
  smoothing: smoothing.value,
  zoom: zoom.value,
  step: pinnedStep.value,
  focus: focusChoice.value,
}));
