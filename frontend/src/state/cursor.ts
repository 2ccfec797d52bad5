// The shared cursor and the moves that gestures make.

import { batch, computed } from "@preact/signals";
import { aroundMarker, type AlertItem } from "../model/chart";
import { nearestRow } from "../model/lines";
import type { Marker } from "../model/markers";
import { clamp, zoomed } from "../model/ranges";
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
  setFocus,
  shownRange,
  zoom,
  zoomTo,
  type ChartName,
} from "./signals";

/** The step under the cursor; off the step axis, that of the focused run. */
export const cursorStep = computed<number | null>(() => {
  if (!cursor.value) return null;
  return axis.value === "step" ? Math.round(cursor.value.x) : stepAt(cursor.value.x);
});

/** Where the pinned step lies on the horizontal axis. */
export const pinX = computed<number | null>(() => {
  const step = pinnedStep.value;
  if (step === null || axis.value === "step") return step;
  const line = focusLine();
  return (line && line.x[nearestRow(line.step, step)]) ?? null;
});

/** The step whose distribution is wanted: under the cursor, else pinned, else the newest. */
export const distributionStep = computed<number | null>(
  () => cursorStep.value ?? pinnedStep.value ?? focus.value?.last_step ?? null,
);

function focusLine(): Points | null {
  const lines = points.value.get(focus.value?.name ?? "");
  return lines?.get("norm_before") ?? lines?.get("loss") ?? null;
}

export function stepAt(x: number): number | null {
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

/** Moves the cursor by pixels, but by no less than a step. */
export function stepCursor(chart: ChartName, pixels: number): void {
  const [low, high] = shownRange.value;
  const pixel = (high - low) / Math.max(plotWidth.value, 1);
  const unit = axis.value === "step" ? Math.max(1, Math.round(pixel)) : pixel;
  const from = cursor.value?.x ?? pinX.value ?? (low + high) / 2;
  cursor.value = { x: clamp(from + pixels * unit, low, high), chart };
}

export function pinCursor(): void {
  if (cursorStep.value !== null) pinnedStep.value = cursorStep.value;
}

export function zoomAround(share: number, factor: number): void {
  const [low, high] = shownRange.value;
  zoomTo(zoomed([low, high], low + share * (high - low), factor));
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

/** Zooms to alerts that lie together and shows the first one's distribution. */
export function openAlerts(alerts: readonly AlertItem[]): void {
  const first = alerts[0];
  if (!first) return;
  const full = fullRange.value;
  const least = axis.value === "step" ? 20 : (full[1] - full[0]) / 200;
  const places = alerts.map((alert) => alert.x);
  const around = aroundMarker(Math.min(...places), Math.max(...places), shownRange.value, least);
  batch(() => {
    zoomTo(around);
    marker.value = null;
    cursor.value = null;
    pinnedStep.value = first.step;
    const run = runs.value?.find((candidate) => candidate.name === first.run);
    if (run && run.histogram_steps > 0) setFocus(run.name);
  });
}
