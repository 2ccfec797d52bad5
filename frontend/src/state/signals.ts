// What the dashboard knows. Signals are set by the actions below and by effects.ts; views only read them.

import { batch, computed, signal } from "@preact/signals";
import type { Axis, Column, Histogram, Problem, Run, Series } from "../api";
import type { AlertKey } from "../model/alerts";
import type { AlertItem } from "../model/chart";
import { assignSlots, colour, type Slots } from "../model/colours";
import { compileGrouping } from "../model/groups";
import type { Quantity } from "../model/heatmap";
import { DEFAULTS } from "../model/link";
import { lossOptions } from "../model/loss_choice";
import type { Marker } from "../model/markers";
import { firstFocused, firstSelected } from "../model/own_choice";
import { within, type Range } from "../model/ranges";
import { compileSearch } from "../model/search";
import { LIGHT, type Theme } from "../theme";

export type ChartName = "loss" | "norm" | "clip-rate" | "throttle";
/** Charts that say themselves what is under the cursor. */
export type OwnChart = "parameters" | "picked" | "blame" | "map";

/** The request of lines that are not all there yet. */
export const UNFINISHED = "";

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
  /** The step and the stretch that it was asked for as the nearest to; null where it was the one at or before. */
  readonly nearest: string | null;
}

/** Every run with gradclip data or a loss among its scalars; null until the first answer. */
export const runs = signal<readonly Run[] | null>(null);
/** What of the logs could not be read. */
export const problems = signal<readonly Problem[]>([]);
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
export const scales = signal(DEFAULTS.scales);
/** How much of what they show the vertical axes of loss and norm span. */
export const spans = signal(DEFAULTS.spans);
/** The part of the horizontal axis shown; null for all of it. */
export const zoom = signal<Range | null>(DEFAULTS.zoom);
/** Where the pointer is on the horizontal axis, in which chart, and whether keys moved it there. */
export const cursor = signal<{
  readonly x: number;
  readonly chart: ChartName | OwnChart;
  readonly byKey?: boolean;
  /** Of charts that measure steps, the step itself. */
  readonly step?: number;
} | null>(null);
/** The marker that is pointed at or focused. */
export const marker = signal<Marker<AlertItem> | null>(null);
/** The step whose distribution stays when the pointer leaves. */
export const pinnedStep = signal<number | null>(DEFAULTS.step);
/** The run whose distribution is shown, if the user picked one. */
export const focusChoice = signal<string | null>(DEFAULTS.focus);
/** The scalar that is taken for the loss of runs that have it; null for each run's own. */
export const lossTag = signal<string | null>(DEFAULTS.loss);
/** The threshold chosen in the what-if panel; null until there is one. */
export const threshold = signal<number | null>(DEFAULTS.threshold);
/** The parameter that was picked; null for all together. */
export const parameter = signal<string | null>(DEFAULTS.parameter);
/** What the heatmap of parameters shows. */
export const quantity = signal<Quantity>(DEFAULTS.quantity);
/** The alert whose timeline is shown. */
export const selectedAlert = signal<AlertKey | null>(DEFAULTS.alert);
/** Lines by run name. Old ones stay until their successors arrive. */
export const series = signal<ReadonlyMap<string, RunSeries>>(new Map());
/** The distribution shown, or why there is none. */
export const histogram = signal<ShownHistogram | { readonly error: string } | null>(null);
/** The expression that groups runs, as typed. */
export const grouping = signal(DEFAULTS.group);
/** Width of the charts in pixels, which is how many points are worth fetching; 0 until they are laid out. */
export const plotWidth = signal(0);
/** Colours of the page around us. */
export const theme = signal<Theme>(LIGHT);

export const filter = computed(() => compileSearch(search.value));
export const listedRuns = computed(() =>
  (runs.value ?? []).filter((run) => filter.value.matches(run.name)),
);
let ownSelected: ReadonlySet<string> = new Set();
export const selectedNames = computed<ReadonlySet<string>>(
  () => chosen.value ?? (ownSelected = firstSelected(runs.value ?? [], ownSelected)),
);
export const selectedRuns = computed(() =>
  (runs.value ?? []).filter((run) => selectedNames.value.has(run.name)),
);

/** Those of them whose gradients were recorded; the rest have nothing but a loss. */
export const recordedRuns = computed(() => selectedRuns.value.filter((run) => run.recorded));
/** What the loss may be, of the listed runs and those that are selected; null where there is nothing to choose. */
export const lossChoice = computed(() => {
  const concerned = new Set([...listedRuns.value, ...selectedRuns.value]);
  return lossOptions([...concerned], lossTag.value);
});

export const groups = computed(() => compileGrouping(grouping.value));
/** The selected runs by group; null where they stand for themselves. */
export const groupedRuns = computed<ReadonlyMap<string, readonly Run[]> | null>(() => {
  const { groupOf } = groups.value;
  if (!groupOf) return null;
  const result = new Map<string, Run[]>();
  for (const run of selectedRuns.value) {
    const group = groupOf(run.name);
    result.set(group, [...(result.get(group) ?? []), run]);
  }
  return result;
});

// A run keeps its colour while others come and go and while it is in a group; so does a group. Colours are given in the
// order in which runs began, so that whoever opens the page later finds the same.
let runSlots: Slots = new Map();
let groupSlots: Slots = new Map();
/** By run; runs of a group share one. */
export const colours = computed<ReadonlyMap<string, string>>(() => {
  const { groupOf } = groups.value;
  const begun = [...(runs.value ?? [])].sort((a, b) => a.first_wall_time - b.first_wall_time);
  const names = begun.map((run) => run.name);
  const shade = (slot: number | undefined): string => colour(slot ?? 0, theme.value.dark);
  if (groupOf) {
    groupSlots = assignSlots([...new Set(names.map(groupOf))], groupSlots);
    return new Map(names.map((name) => [name, shade(groupSlots.get(groupOf(name)))]));
  }
  runSlots = assignSlots(names, runSlots);
  return new Map(names.map((name) => [name, shade(runSlots.get(name))]));
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

let ownFocus: string | null = null;
/** The run whose distribution is shown: the one picked, while it is selected. */
export const focus = computed<Run | null>(() => {
  const candidates = recordedRuns.value;
  const picked = candidates.find((run) => run.name === focusChoice.value);
  if (picked) return picked;
  const own = firstFocused(candidates, ownFocus);
  ownFocus = own?.name ?? null;
  return own;
});

/** The parameter that was picked, if the run shown has it. */
export const pickedParameter = computed<string | null>(() => {
  const name = parameter.value;
  return name !== null && focus.value?.parameters.includes(name) ? name : null;
});

/** What a run covers; a loss that is a scalar may begin before it or go on after it. */
function runRange(run: Run, on: Axis): Range {
  const { loss } = run;
  if (on === "step") {
    return [
      Math.min(run.first_step, loss.first_step ?? Infinity),
      Math.max(run.last_step, loss.last_step ?? -Infinity),
    ];
  }
  const from = Math.min(run.first_wall_time, loss.first_wall_time ?? Infinity);
  const to = Math.max(run.last_wall_time, loss.last_wall_time ?? -Infinity);
  const origin = on === "relative" ? run.first_wall_time : 0;
  return [from - origin, to - origin];
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
    if (name !== focus.value?.name) parameter.value = null;
    focusChoice.value = name;
  });
}
