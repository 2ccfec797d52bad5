// The shared cursor and the moves that gestures make.

import { batch, computed } from "@preact/signals";
import { alertKey, AFTER, BEFORE } from "../model/alerts";
import type { AlertItem } from "../model/chart";
import { nearestRow } from "../model/lines";
import type { Marker } from "../model/markers";
import { clamp, zoomed, type Range } from "../model/ranges";
import { points, type Points } from "./points";
import {
  axis,
  cursor,
  focus,
  fullRange,
  marker,
  pinnedStep,
  plotWidth,
  runs,
  selectedAlert,
  selectedRuns,
  setFocus,
  shownRange,
  zoom,
  zoomTo,
  type ChartName,
  type OwnChart,
} from "./signals";

/** The step under the cursor; off the step axis, that of the focused run. */
export const cursorStep = computed<number | null>(() => {
  return cursor.value && (cursor.value.step ?? stepAt(cursor.value.x));
});

/** Where the pinned step lies on the horizontal axis. */
export const pinX = computed<number | null>(() => {
  return pinnedStep.value === null ? null : placeOfStep(pinnedStep.value);
});

/** The step whose distribution is wanted: under the cursor, else pinned, else the newest. */
export const distributionStep = computed<number | null>(
  () => cursorStep.value ?? pinnedStep.value ?? focus.value?.last_step ?? null,
);

function focusLine(): Points | null {
  return lineOf(focus.value?.name ?? selectedRuns.value[0]?.name ?? "");
}

function lineOf(run: string): Points | null {
  const lines = points.value.get(run);
  const norm = lines?.get("norm_before");
  return (norm?.x.length ? norm : lines?.get("loss")) ?? null;
}

/** Where a step of the focused run lies on the horizontal axis. */
export function placeOfStep(step: number): number | null {
  if (axis.value === "step") return step;
  const line = focusLine();
  return (line && line.x[nearestRow(line.step, step)]) ?? null;
}

/** The step of the focused run at a place on the horizontal axis. */
export function stepAt(x: number): number | null {
  if (axis.value === "step") return Math.round(x);
  const line = focusLine();
  return (line && line.step[nearestRow(line.x, x)]) ?? null;
}

/** Moves the cursor to a share of the shown range. On the step axis it stands on whole steps. */
export function hover(chart: ChartName, share: number | null): void {
  if (share === null) {
    cursor.value = null;
    return;
  }
  const [low, high] = shownRange.value;
  const x = low + share * (high - low);
  const next = axis.value === "step" ? clamp(Math.round(x), low, high) : x;
  if (cursor.value?.x !== next || cursor.value.chart !== chart) cursor.value = { x: next, chart };
}

/** Moves the cursor to a step of the focused run. */
export function pointAtStep(chart: OwnChart, step: number | null): void {
  const x = step === null ? null : placeOfStep(step);
  const known = cursor.value;
  if (x === null || step === null) cursor.value = null;
  else if (known?.step !== step || known.x !== x || known.chart !== chart) {
    cursor.value = { x, chart, step };
  }
}

/** Moves the cursor by pixels, but by no less than a step. */
export function stepCursor(chart: ChartName, pixels: number): void {
  const [low, high] = shownRange.value;
  const pixel = (high - low) / Math.max(plotWidth.value, 1);
  const unit = axis.value === "step" ? Math.max(1, Math.round(pixel)) : pixel;
  const from = cursor.value?.x ?? pinX.value ?? (low + high) / 2;
  cursor.value = { x: clamp(from + pixels * unit, low, high), chart, byKey: true };
}

/** Pixels around the pin that are pressed to take it away: on a long run no pointer meets a step twice. */
const NEAR = 4;

/** Whether the cursor is where one would press the pin, in a chart that shows so much of the horizontal axis. */
export function isOnPin([low, high]: Range): boolean {
  const [at, pin] = [cursor.value?.x ?? null, pinX.value];
  if (at === null || pin === null) return false;
  return Math.abs(at - pin) <= (NEAR * (high - low)) / Math.max(plotWidth.value, 1);
}

/** Pins the step under the cursor; where the pin is there already, takes it away. */
export function pinCursor(isThere = cursorStep.value === pinnedStep.value): void {
  if (cursorStep.value !== null) pinnedStep.value = isThere ? null : cursorStep.value;
}

/** What Escape does: takes the pin away, or shows all where there is none. */
export function takeBack(): void {
  if (pinnedStep.value !== null) pinnedStep.value = null;
  else zoomTo(null);
}

/** What a double-click does: shows all. Its two presses leave no pin behind. */
export function showAll(): void {
  batch(() => {
    pinnedStep.value = null;
    zoomTo(null);
  });
}

export function zoomAround(share: number, factor: number): void {
  const [low, high] = shownRange.value;
  zoomAt(low + share * (high - low), factor);
}

/** The same around a place on the horizontal axis. */
export function zoomAt(x: number, factor: number): void {
  zoomTo(zoomed(shownRange.value, x, factor));
}

/** Whether there was anywhere to go. */
export function pan(share: number): boolean {
  if (!zoom.value) return false;
  const [low, high] = shownRange.value;
  const full = fullRange.value;
  const by = clamp(share * (high - low), full[0] - low, full[1] - high);
  zoomTo([low + by, high + by]);
  return true;
}

/** Shows what a marker means; the cursor stands on it. */
export function pointAtMarker(pointed: Marker<AlertItem> | null): void {
  batch(() => {
    marker.value = pointed;
    cursor.value = pointed && { x: pointed.from, chart: "loss" };
  });
}

/** What alerts are placed by: those of charts, and those of the list. */
export type Opened = Pick<AlertItem, "run" | "step" | "kind" | "x"> & {
  readonly finding: string | null;
};

/** Zooms to the steps around alerts that lie together, and shows the first one's distribution and timeline. */
export function openAlerts(alerts: readonly Opened[]): void {
  const first = alerts[0];
  if (!first) return;
  const around = alerts.map(flightRange);
  batch(() => {
    zoomTo([Math.min(...around.map(([from]) => from)), Math.max(...around.map(([, to]) => to))]);
    marker.value = null;
    cursor.value = null;
    pinnedStep.value = first.step;
    selectedAlert.value = alertKey(first);
    const run = runs.value?.find((candidate) => candidate.name === first.run);
    if (run && (run.histogram_steps > 0 || run.parameters.length > 0)) setFocus(run.name);
  });
}

/** Shows the whole run again, and no timeline. */
export function closeAlert(): void {
  batch(() => {
    selectedAlert.value = null;
    zoomTo(null);
  });
}

/** The steps that a flight recorder keeps around an alert, on the horizontal axis; off the step axis by its pace. */
function flightRange({ run: name, x }: Opened): Range {
  if (axis.value === "step") return [x - BEFORE, x + AFTER];
  const run = runs.value?.find((candidate) => candidate.name === name);
  if (!run) return [x, x];
  const steps = Math.max(run.last_step - run.first_step, 1);
  const pace = (run.last_wall_time - run.first_wall_time) / steps;
  return [x - BEFORE * pace, x + AFTER * pace];
}
