// Fetches what the panels of parameters and alerts show, once they can show it.

import { batch } from "@preact/signals";
import type { Run } from "../api";
import { fetchFlight, fetchParameters } from "../api_parameters";
import { NO_FLIGHT } from "../model/blame";
import { flight, noTimeline, openAlert } from "./alerts";
import { explain } from "./explain";
import { isOpening } from "./points";
import { heatRange, heatRow, windows } from "./parameters";
import { focus, recoveries, zoom } from "./signals";

const SETTLE_FOR = 120;
/** As many as have more than a pixel each. */
const MOST_WINDOWS = 300;

/**
 * Steps after which it is worth asking again: a quarter of a window, whose length doubles as a run grows, because the
 * last one of a run is complete when that ends. Source: core/schedule.py.
 */
function grain(run: Run): number {
  return Math.max(4, 2 ** Math.floor(Math.log2(Math.max(run.last_step / 1024, 1))));
}

function requestOf(run: Run): string {
  const range = zoom.value ? heatRange.value.join(":") : "";
  return [run.name, range, Math.floor((run.last_step + 1) / grain(run)), run.complete].join("|");
}

export function keepWindows(): (() => void) | undefined {
  void recoveries.value;
  const run = focus.value;
  if (!run || isOpening.value) return;
  if (run.parameters.length === 0) {
    windows.value = {
      error: "This run has scalars only: norms of single parameters were not recorded.",
    };
    return;
  }
  const request = requestOf(run);
  const shown = windows.peek();
  const known = shown && !("error" in shown) ? shown : null;
  if (known?.request === request) return;
  if (shown && !known) windows.value = null; // why there was none before
  const range = zoom.value ? heatRange.value : null;
  const abort = new AbortController();
  const load = async (): Promise<void> => {
    try {
      const answer = await fetchParameters(run.name, range, MOST_WINDOWS, abort.signal);
      if (abort.signal.aborted) return;
      batch(() => {
        if (known?.answer.run !== run.name) heatRow.value = null;
        windows.value = { answer, request };
      });
    } catch (error) {
      if (!abort.signal.aborted) windows.value = { error: explain(error) };
    }
  };
  const timer = setTimeout(() => void load(), known?.answer.run === run.name ? SETTLE_FOR : 0);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}

export function keepFlight(): (() => void) | undefined {
  void recoveries.value;
  const alert = openAlert.value;
  if (!alert || noTimeline.value !== null) return;
  const { run, step } = alert;
  const known = flight.peek();
  const isSame = known?.run === run && known.step === step;
  if (isSame && !("error" in known)) return;
  const abort = new AbortController();
  const load = async (): Promise<void> => {
    try {
      const answer = await fetchFlight(run, step, abort.signal);
      if (abort.signal.aborted) return;
      flight.value = answer.steps.length > 0 ? answer : { run, step, error: NO_FLIGHT };
    } catch (error) {
      if (!abort.signal.aborted) flight.value = { run, step, error: explain(error) };
    }
  };
  if (!isSame) flight.value = null;
  void load();
  return () => abort.abort();
}
