// The what-if panel: the server's answer, and what is derived of it.

import { computed, signal } from "@preact/signals";
import type { ThresholdOutcome, WhatIf } from "../api_what_if";
import { codeFor, snippet, type CodeFor } from "../model/snippets";
import { DEFAULTS } from "../model/link";
import { suggestionRows, type Suggestion } from "../model/suggestions";
import { axisRange, outcomeAt, tidy } from "../model/what_if";
import type { Range } from "../model/ranges";
import { isReport } from "./report";
import { axis, focus, threshold, zoom } from "./signals";

/** The newest answer and the request that it answers, or why there is none; null until the first. */
export const whatIf = signal<
  { readonly answer: WhatIf; readonly request: string } | { readonly error: string } | null
>(null);
/** Whether the limits of ZClip are drawn over the norms. */
export const zclipShown = signal(DEFAULTS.zclip);
/** The framework whose code is shown; null for that of the run. */
export const codeChoice = signal(DEFAULTS.code);

/** The answer for the focused run; an older one of the same run stays until its successor arrives. */
export const whatIfAnswer = computed<WhatIf | null>(() => {
  const shown = whatIf.value;
  const known = shown && "answer" in shown ? shown.answer : null;
  return known?.run === focus.value?.name ? known : null;
});

/** Steps that are looked at: those shown, where the axis is steps; null for the whole run, which is all a report has. */
export const whatIfRange = computed<Range | null>(() => {
  if (isReport || axis.value !== "step" || !zoom.value) return null;
  return [Math.ceil(zoom.value[0]), Math.floor(zoom.value[1])];
});

/** The run's own threshold, if it lies on the axis; NaN if not. */
export const ownThreshold = computed(() => {
  const known = whatIfAnswer.value;
  return known?.rule.kind === "global_norm" ? (known.now?.threshold ?? NaN) : NaN;
});

/** The axis. It must not move while somebody drags: only a threshold that came with a link reaches beyond it. */
export const thresholdRange = computed<Range | null>(() => {
  const known = whatIfAnswer.value;
  const range = known && axisRange(known, [ownThreshold.value]);
  const chosen = threshold.value;
  if (!range || chosen === null || (chosen >= range[0] && chosen <= range[1])) return range;
  return axisRange(known, [ownThreshold.value, chosen]);
});

/** Chooses a threshold, with no more digits than the axis needs. */
export function chooseThreshold(value: number): void {
  const range = thresholdRange.value;
  if (value > 0 && range) threshold.value = tidy(value, range);
}

/** Where the handle stands: at what was chosen, else at what clips a tenth of the steps. */
export const shownThreshold = computed<number | null>(() => {
  const range = thresholdRange.value;
  if (threshold.value !== null || !range) return threshold.value;
  const suggested = whatIfAnswer.value?.suggestions ?? [];
  const standard = suggested.find(({ share }) => share === 0.1) ?? suggested[suggested.length - 1];
  return standard ? tidy(standard.threshold, range) : Math.sqrt(range[0] * range[1]);
});

/** What the shown threshold would have done: as the server says, and until it does, read off the curve. */
export const shownOutcome = computed<ThresholdOutcome | null>(() => {
  const known = whatIfAnswer.value;
  const at = shownThreshold.value;
  if (!known || at === null) return null;
  return known.at?.threshold === at ? known.at : outcomeAt(known, at);
});

export const suggestions = computed<readonly Suggestion[]>(() => {
  const known = whatIfAnswer.value;
  const range = thresholdRange.value;
  return known && range ? suggestionRows(known, range, known.rule.kind === "global_norm") : [];
});

export const shownCode = computed<CodeFor>(
  () => codeChoice.value ?? codeFor(focus.value?.framework ?? "torch"),
);

/** The line of code that clips at a threshold. */
export function codeAt(value: number): string {
  return snippet(shownCode.value, value, whatIfAnswer.value?.norm_type);
}
