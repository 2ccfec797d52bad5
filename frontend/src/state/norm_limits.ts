// Limits on the chart of gradient norms: thresholds of the runs, the one chosen in the what-if panel, and ZClip's.

import { computed } from "@preact/signals";
import type { Run } from "../api";
import type { Limit, Line, Threshold } from "../model/chart";
import { number } from "../model/format";
import { interpolated } from "../model/lines";
import { exact } from "../model/what_if";
import { colourOf, points } from "./points";
import { axis, focus, selectedRuns, theme, threshold } from "./signals";
import { whatIfAnswer, zclipShown } from "./what_if";

/** The threshold that was chosen. The chart makes no room for it: it must not move while somebody drags. */
export const chosenLimit = computed<Limit | null>(() => {
  const value = threshold.value;
  return value === null || !focus.value ? null : { value, label: `what if ${exact(value)}` };
});

/** The largest norm that ZClip would have left alone in the focused run, on the current axis. */
export const zclipLines = computed<readonly Line[]>(() => {
  const answer = zclipShown.value ? whatIfAnswer.value : null;
  const known = answer && points.value.get(answer.run)?.get("norm_before");
  if (!known) return [];
  const { steps, thresholds: limits } = answer.zclip;
  const x = Float64Array.from(steps, (step) =>
    axis.value === "step" ? step : interpolated(known.step, known.x, step),
  );
  const colour = theme.value.ink;
  const y = Float64Array.from(limits);
  return [{ run: answer.run, colour, x, y, width: 1.2, dash: [], opacity: 0.75, dotted: false }];
});

/** Only a global norm's threshold lies on the scale of the norm chart; runs that share one share its line. */
export function thresholds(): Threshold[] {
  const users = new Map<number, Run[]>();
  for (const run of selectedRuns.value) {
    const one = points.value.get(run.name)?.get("threshold");
    const value = one?.y[one.y.length - 1] ?? run.rule.threshold ?? NaN;
    if (run.rule.kind !== "global_norm" || !Number.isFinite(value)) continue;
    users.set(value, [...(users.get(value) ?? []), run]);
  }
  const ascending = [...users].sort(([a], [b]) => a - b);
  const { accent, soft } = theme.value;
  return ascending.map(([value, owners]) => {
    const common = users.size === 1 || owners.length > 1;
    return {
      value,
      colour: common ? accent : colourOf(owners[0] as Run),
      label: `threshold ${number(value)}`,
      labelColour: common ? accent : soft,
    };
  });
}
