// Everything that reaches outside: fetching, polling, the page's link and its colours. Nothing else has side effects.

import { batch, effect, untracked } from "@preact/signals";
import { fetchHistogram, fetchRuns, type Run } from "../api";
import { isShown, onDataReloaded, onLinkChanged, readLink, writeLink } from "../host";
import { decodeSettings, DEFAULTS, encodeSettings } from "../model/link";
import { watchTheme } from "../theme";
import { wantedWithin } from "./alerts";
import { distributionStep } from "./cursor";
import { explain } from "./explain";
import { isOpening } from "./points";
import { isReport, keepHeld } from "./report";
import { keepHistogramMap } from "./histogram_map";
import { keepFlight, keepWindows } from "./parameter_effect";
import { applySettings, settings } from "./settings";
import { keepSeries } from "./series_effect";
import { keepWhatIf } from "./what_if_effect";
import {
  failure,
  focus,
  histogram,
  lossTag,
  problems,
  pickedParameter,
  recoveries,
  runs,
  theme,
  type ShownHistogram,
} from "./signals";

const POLL_EVERY = 10_000;
const SETTLE_FOR = 120;

/** Starts them all. Called once. */
export function start(): void {
  takeLink();
  onLinkChanged(takeLink);
  watchTheme((next) => (theme.value = next));
  effect(() => {
    void lossTag.value; // runs say which loss they have
    untracked(() => void loadRuns());
  });
  if (isReport) {
    keepHeld().catch(() => undefined); // that it cannot be read is said where the runs would be
  } else {
    keepUpToDate();
  }
  effect(keepLink);
  effect(keepSeries);
  effect(keepHistogram);
  effect(keepWindows);
  effect(keepFlight);
  effect(keepWhatIf);
  keepHistogramMap();
}

/** A report has one window and one loss, whatever a link says. */
function takeLink(): void {
  const linked = decodeSettings(readLink());
  applySettings(isReport ? { ...linked, window: DEFAULTS.window, loss: null } : linked);
}

function keepUpToDate(): void {
  onDataReloaded(() => void loadRuns());
  const poll = (): void => {
    if (isShown()) void loadRuns();
  };
  setInterval(poll, POLL_EVERY);
  document.addEventListener("visibilitychange", poll);
}

let [asked, answered] = [0, 0];

export async function loadRuns(): Promise<void> {
  const loss = lossTag.peek();
  const question = ++asked;
  // Questions overlap where answers take long: of two answers the one to the newer question holds.
  const isOutdated = (): boolean => loss !== lossTag.peek() || question < answered;
  try {
    const next = await fetchRuns(loss);
    if (isOutdated()) return;
    answered = question;
    batch(() => {
      // Equal content must not wake anything up.
      const known = { runs: runs.value, problems: problems.value };
      if (JSON.stringify(next) !== JSON.stringify(known)) {
        runs.value = next.runs;
        problems.value = next.problems;
      }
      if (failure.value !== null) recoveries.value++;
      failure.value = null;
    });
  } catch (error) {
    if (isOutdated()) return;
    answered = question;
    failure.value = explain(error);
  }
}

function keepLink(): () => void {
  const link = encodeSettings(settings.value);
  const timer = setTimeout(() => writeLink(link), 300);
  return () => clearTimeout(timer);
}

function keepHistogram(): (() => void) | undefined {
  void recoveries.value;
  const run = focus.value;
  const step = distributionStep.value;
  const wanted = pickedParameter.value;
  if (!run || step === null || isOpening.value) return;
  if (run.histogram_steps === 0) {
    histogram.value = { error: "This run has no recorded distributions." };
    return;
  }
  const shown = histogram.peek();
  const within = wantedWithin.value;
  const nearest = within && [step, ...within].join(":");
  if (shown && !("error" in shown) && isCurrent(shown, run, step, wanted, nearest)) return;
  const abort = new AbortController();
  const load = async (): Promise<void> => {
    try {
      const answer = await fetchHistogram(run.name, step, wanted, within, abort.signal);
      if (abort.signal.aborted) return;
      histogram.value = { answer, recorded: run.histogram_steps, nearest };
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
  { answer, recorded, nearest: known }: ShownHistogram,
  run: Run,
  step: number,
  wanted: string | null,
  nearest: string | null,
): boolean {
  if (answer.run !== run.name || answer.parameter !== wanted) return false;
  if (recorded !== run.histogram_steps) return false;
  if (nearest !== null) return nearest === known;
  const begun = answer.previous_step === null || step >= answer.step;
  return begun && (answer.next_step === null || step < answer.next_step);
}
