// Everything that reaches outside: fetching, polling, the page's link and its colours. Nothing else has side effects.

import { batch, effect, untracked } from "@preact/signals";
import { fetchHistogram, fetchRuns, fetchSeries, type Column, type Run } from "../api";
import { isShown, onDataReloaded, readLink, writeLink } from "../host";
import { batches } from "../model/batches";
import { decodeSettings, encodeSettings } from "../model/link";
import { extent } from "../model/ranges";
import { watchTheme } from "../theme";
import { distributionStep } from "./cursor";
import { explain } from "./explain";
import { keepHistogramMap } from "./histogram_map";
import { keepFlight, keepWindows } from "./parameter_effect";
import { clips } from "./rate_charts";
import { applySettings, settings } from "./settings";
import { keepWhatIf } from "./what_if_effect";
import {
  axis,
  failure,
  focus,
  histogram,
  lossTag,
  pickedParameter,
  plotWidth,
  recoveries,
  runs,
  selectedRuns,
  series,
  theme,
  window as clipRateWindow,
  zoom,
  type RunSeries,
  type ShownHistogram,
} from "./signals";

const COLUMNS: readonly Column[] = ["loss", "norm_before", "norm_after", "threshold", "clip_rate"];
const POLL_EVERY = 10_000;
const SETTLE_FOR = 120;

/** Starts them all. Called once. */
export function start(): void {
  applySettings(decodeSettings(readLink()));
  watchTheme((next) => (theme.value = next));
  effect(() => {
    void lossTag.value; // runs say which loss they have
    untracked(() => void loadRuns());
  });
  onDataReloaded(() => void loadRuns());
  const poll = (): void => {
    if (isShown()) void loadRuns();
  };
  setInterval(poll, POLL_EVERY);
  document.addEventListener("visibilitychange", poll);
  effect(keepLink);
  effect(keepSeries);
  effect(keepHistogram);
  effect(keepWindows);
  effect(keepFlight);
  effect(keepWhatIf);
  keepHistogramMap();
}

export async function loadRuns(): Promise<void> {
  const loss = lossTag.peek();
  try {
    const next = await fetchRuns(loss);
    if (loss !== lossTag.peek()) return; // another answer is on its way
    batch(() => {
      // Equal content must not wake anything up.
      if (JSON.stringify(next) !== JSON.stringify(runs.value)) runs.value = next;
      if (failure.value !== null) recoveries.value++;
      failure.value = null;
    });
  } catch (error) {
    failure.value = explain(error);
  }
}

function keepLink(): () => void {
  const link = encodeSettings(settings.value);
  const timer = setTimeout(() => isShown() && writeLink(link), 300);
  return () => clearTimeout(timer);
}

/** What a run's lines must answer to be up to date. */
function requestOf(run: Run): string {
  return [
    axis.value,
    clipRateWindow.value,
    zoom.value?.join(":") ?? "",
    pointCount(),
    run.steps,
    run.last_step,
    run.alerts.length,
    run.loss.tag,
    run.loss.points,
    run.loss.last_wall_time,
  ].join("|");
}

/**
 * Two for each pixel, a smallest and a largest value; in whole steps of 100 pixels, so that dragging the window's
 * edge does not refetch all the time.
 */
function pointCount(): number {
  return Math.min(10_000, Math.max(1, Math.ceil(plotWidth.value / 100)) * 200);
}

function keepSeries(): (() => void) | undefined {
  void recoveries.value;
  if (plotWidth.value === 0) return;
  const known = untracked(() => series.value);
  const wanted = selectedRuns.value.map((run) => ({ run, request: requestOf(run) }));
  const missing = wanted.filter(({ run, request }) => known.get(run.name)?.request !== request);
  if (missing.length === 0) return;
  const abort = new AbortController();
  const isFirst = missing.some(({ run }) => !known.has(run.name));
  const load = async (): Promise<void> => {
    for (const batch of batches(missing.map((each) => ({ ...each, name: each.run.name })))) {
      if (!abort.signal.aborted) await loadSeries(batch, abort.signal);
    }
  };
  const timer = setTimeout(() => void load(), isFirst ? 0 : SETTLE_FOR);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}

async function loadSeries(
  missing: readonly { readonly run: Run; readonly request: string }[],
  signal: AbortSignal,
): Promise<void> {
  const whole = zoom.peek() === null;
  const query = {
    runs: missing.map(({ run }) => run.name),
    columns: missing.some(({ run }) => clips(run)) ? [...COLUMNS, "throttle" as const] : COLUMNS,
    points: untracked(pointCount),
    axis: axis.peek(),
    window: clipRateWindow.peek(),
    loss: lossTag.peek(),
    range: zoom.peek(),
  };
  try {
    const answer = await fetchSeries(query, signal);
    if (signal.aborted) return;
    const next = new Map(series.peek());
    for (const { run, request } of missing) {
      const own = answer.filter((one) => one.run === run.name);
      const columns = new Map(own.map((one) => [one.column, one]));
      const previous: RunSeries | undefined = next.get(run.name);
      const loss = columns.get("loss")?.value;
      const lossRange =
        loss && (whole || !previous) ? extent([loss]) : (previous?.lossRange ?? null);
      next.set(run.name, { request, columns, lossRange });
    }
    series.value = next;
  } catch (error) {
    if (!signal.aborted) failure.value = explain(error);
  }
}

function keepHistogram(): (() => void) | undefined {
  const run = focus.value;
  const step = distributionStep.value;
  const wanted = pickedParameter.value;
  if (!run || step === null) return;
  if (run.histogram_steps === 0) {
    histogram.value = { error: "This run has no recorded distributions." };
    return;
  }
  const shown = histogram.peek();
  if (shown && !("error" in shown) && isCurrent(shown, run, step, wanted)) return;
  const abort = new AbortController();
  const load = async (): Promise<void> => {
    try {
      const answer = await fetchHistogram(run.name, step, wanted, abort.signal);
      if (abort.signal.aborted) return;
      histogram.value = { answer, recorded: run.histogram_steps };
    } catch (error) {
      if (!abort.signal.aborted) histogram.value = { error: explain(error) };
    }
  };
  const timer = setTimeout(() => void load(), shown ? SETTLE_FOR : 0);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}

/** Whether the server would answer again what is shown already. */
function isCurrent(
  { answer, recorded }: ShownHistogram,
  run: Run,
  step: number,
  wanted: string | null,
): boolean {
  if (answer.run !== run.name || answer.parameter !== wanted) return false;
  if (recorded !== run.histogram_steps) return false;
  const begun = answer.previous_step === null || step >= answer.step;
  return begun && (answer.next_step === null || step < answer.next_step);
}
