// Asks the server what thresholds would have done, for the focused run and the steps shown.

import { untracked } from "@preact/signals";
import { fetchWhatIf } from "../api_what_if";
import { explain } from "./explain";
import { isOpening } from "./points";
import { focus, recoveries, threshold } from "./signals";
import { shownThreshold, whatIf, whatIfRange } from "./what_if";

/** While somebody drags or zooms, the curve at hand must do. */
const SETTLE_FOR = 120;

export function keepWhatIf(): (() => void) | undefined {
  void recoveries.value;
  const run = focus.value;
  const range = whatIfRange.value;
  if (!run || isOpening.value) return;
  // Where nothing was chosen the handle stands where the answer puts it: a second question tells that exactly.
  const at = threshold.value ?? shownThreshold.value;
  const request = [run.name, run.steps, run.last_step, range?.join(":") ?? "", at ?? ""].join("|");
  const known = untracked(() => whatIf.value);
  if (known && "answer" in known && known.request === request) return;
  const abort = new AbortController();
  const load = async (): Promise<void> => {
    try {
      const answer = await fetchWhatIf({ run: run.name, range, at }, abort.signal);
      if (!abort.signal.aborted) whatIf.value = { answer, request };
    } catch (error) {
      if (!abort.signal.aborted) whatIf.value = { error: explain(error) };
    }
  };
  const timer = setTimeout(() => void load(), known ? SETTLE_FOR : 0);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}
