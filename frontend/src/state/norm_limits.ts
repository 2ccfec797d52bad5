// Limits on the chart of gradient norms: thresholds of the runs, the one chosen in the what-if panel, and ZClip's.

import { computed } from "@preact/signals";
import type { Run } from "../api";
import type { Limit, Line, Threshold } from "../model/chart";
import { number } from "../model/format";
import { interpolated } from "../model/lines";
import { areSame, constantOf, stairsOf, type Stairs } from "../model/threshold_line";
import { exact, outcomeWords } from "../model/what_if";
import { colourOf, points, type Points } from "./points";
import { axis, focus, selectedRuns, theme, threshold } from "./signals";
import { ownThreshold, shownOutcome, shownThreshold, whatIfAnswer, zclipShown } from "./what_if";

/** Of the line of a threshold that changes. Source: paint.ts. */
const WIDTH = 1.25;

/** The threshold that was chosen. The chart makes no room for it: it must not move while somebody drags. */
export const chosenLimit = computed<Limit | null>(() => {
  const value = threshold.value;
  return value === null || !focus.value ? null : { value, label: `what if ${exact(value)}` };
});

/**
 * The same, and until one is chosen where one can take hold: at the threshold of the focused run, and without one at
 * what clips a tenth of the steps, where the handle of the curve stands as well.
 */
export const shownLimit = computed<Limit | null>(() => {
  const run = focus.value;
  if (!run) return null;
  const name = `Threshold what-if for ${run.name}: drag, or move with the arrow keys`;
  const [chosen, outcome] = [chosenLimit.value, shownOutcome.value];
  if (chosen) return { ...chosen, name, spoken: outcome ? outcomeWords(outcome) : chosen.label };
  const own = ownThreshold.value;
  const value = Number.isFinite(own) ? own : shownThreshold.value;
  if (value === null || !whatIfAnswer.value) return null;
  const spoken =
    value === own ? `${exact(value)}, as it is` : `none; ${exact(value)} to begin with`;
  return { value, label: "what if ↕", name, spoken, resting: true };
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

type Shape = number | Stairs;

/** Lines that did not change keep their stairs while others arrive. */
const shapes = new WeakMap<Points, Shape>();

/**
 * Only a global norm's threshold lies on the scale of the norm chart; runs that share one share its line. Nothing of it
 * depends on the range that is shown.
 */
export const thresholds = computed<readonly Threshold[]>(() => {
  const users: (readonly [Shape, Run[]])[] = [];
  for (const run of selectedRuns.value) {
    const shape = run.rule.kind === "global_norm" ? shapeOf(run) : NaN;
    if (typeof shape === "number" ? !Number.isFinite(shape) : shape.x.length === 0) continue;
    const known = users.find(([other]) => isSameShape(shape, other));
    if (known) known[1].push(run);
    else users.push([shape, [run]]);
  }
  return users.map(([shape, owners]) => {
    const shared = users.length === 1 || owners.length > 1;
    return thresholdOf(shape, owners[0] as Run, shared ? theme.value.accent : null);
  });
});

/** One number where it is the same throughout, NaN for none; before its line is there, the newest one. */
function shapeOf(run: Run): Shape {
  const one = points.value.get(run.name)?.get("threshold");
  if (!one || one.y.length === 0) return run.rule.threshold ?? NaN;
  const known = shapes.get(one);
  if (known !== undefined) return known;
  const result = constantOf(one.y) ?? stairsOf(one.x, one.y);
  shapes.set(one, result);
  return result;
}

function isSameShape(a: Shape, b: Shape): boolean {
  if (typeof a === "number" || typeof b === "number") return Object.is(a, b);
  return areSame(a, b);
}

function thresholdOf(shape: Shape, run: Run, shared: string | null): Threshold {
  const colour = shared ?? colourOf(run);
  const labelColour = shared ?? theme.value.soft;
  if (typeof shape === "number") {
    return { value: shape, colour, label: `threshold ${number(shape)}`, labelColour };
  }
  const style = { width: WIDTH, dash: [], opacity: 1, dotted: false };
  const line = { ...shape, ...style, run: run.name, colour };
  return { value: NaN, colour, label: "threshold", labelColour, line };
}
