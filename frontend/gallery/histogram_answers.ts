// Distributions of made-up gradients: magnitudes are spread around one that falls while a run goes on.

import type { Bins, Histogram, Run } from "../src/api";
import { framedBody } from "../test/framed_body";
import recorded from "../../tests/fixtures/http/histogram.json";
import { stepsOf, type State } from "./made_up";

const MOST_STEPS = 120;
const BINS = 32;
const ZERO = 0.05;
/** Half octaves. */
const EDGES = Float64Array.from({ length: BINS + 1 }, (_, i) => 2 ** ((i - BINS) / 2));

function recordedSteps(run: Run): number[] {
  return stepsOf(run, run.histogram_steps);
}

export function histogram(state: State, run: Run, query: URLSearchParams): Histogram {
  const steps = recordedSteps(run);
  const after = steps.findIndex((step) => step > Number(query.get("step")));
  const place = Math.max((after < 0 ? steps.length : after) - 1, 0);
  const step = steps[place] ?? 0;
  const broken = Number.isNaN(state.value?.(step));
  const bins = (of: Bins): Bins =>
    broken
      ? { ...of, low: [], high: [], counts: [], zero: 0, nan: of.size } //
      : of;
  return {
    run: run.name,
    step,
    wall_time: run.first_wall_time + step / 2,
    parameter: query.get("parameter"),
    previous_step: steps[place - 1] ?? null,
    next_step: steps[place + 1] ?? null,
    rule: run.rule,
    coefficient: broken || run.rule.kind !== "global_norm" ? null : recorded.coefficient,
    clipped: null,
    cosine: null,
    before: bins(recorded.before),
    after: bins(run.rule.kind === "none" ? recorded.before : recorded.after),
  };
}

export function histograms(state: State, run: Run, query: URLSearchParams): ArrayBuffer {
  const [from, to] = [query.get("from") ?? -Infinity, query.get("to") ?? Infinity].map(Number);
  const all = recordedSteps(run);
  const shown = all.filter(
    (step, i) => step <= (to ?? 0) && (all[i + 1] ?? Infinity) > (from ?? 0),
  );
  const every = Math.ceil(shown.length / MOST_STEPS);
  const steps = shown.filter((_, i) => i % every === 0 || i === shown.length - 1);
  const broken = steps.map((step) => Number.isNaN(state.value?.(step)));
  const sides = [1, run.rule.kind === "none" ? 1 : 0.6].flatMap((factor) => [
    Float64Array.from(steps.flatMap((step, i) => shares(step, factor, broken[i] === true))),
    Float64Array.from(broken, (one) => (one ? 0 : ZERO)),
    Float64Array.from(broken, (one) => (one ? 1 : 0)),
  ]);
  const side = (name: string): string[] => [name, `${name}_zero`, `${name}_nonfinite`];
  const fields = ["step", "wall_time", "low", "high", "edges", ...side("before"), ...side("after")];
  const parameter = query.get("parameter");
  return framedBody(
    { run: run.name, parameter, steps: steps.length, bins: BINS, total: shown.length, fields },
    [
      Float64Array.from(steps),
      Float64Array.from(steps, (step) => run.first_wall_time + step / 2),
      Float64Array.from(steps, () => NaN),
      Float64Array.from(steps, () => NaN),
      EDGES,
      ...sides,
    ],
  );
}

/** A bell over the bins, which together with the zeros is all there is. */
function shares(step: number, factor: number, broken: boolean): number[] {
  const centre = BINS * 0.7 - step / 600 + 2 * Math.log2(factor);
  const bell = Array.from({ length: BINS }, (_, i) => Math.exp(-(((i + 0.5 - centre) / 4) ** 2)));
  const sum = bell.reduce((total, height) => total + height, 0);
  return bell.map((height) => (broken ? 0 : (height / sum) * (1 - ZERO)));
}
