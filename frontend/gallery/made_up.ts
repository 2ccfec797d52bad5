// Numbers of made-up runs. They follow from the name of the run and the step, so that pictures can be compared.

import type { Problem, Run } from "../src/api";
import { randomNumbers } from "../test/random";
import type { SeriesPart } from "../test/series_body";

export interface State {
  readonly runs: readonly Run[];
  /** What could not be read. */
  readonly problems?: readonly Problem[];
  /** What a route does instead of answering. */
  readonly broken?: Readonly<Record<string, "silent" | "fails">>;
  /** Values of every line instead of those made up. */
  readonly value?: (step: number) => number;
  /** Threshold of every run at a step instead of that of its rule. */
  readonly threshold?: (step: number) => number;
  /** What the page's link says. */
  readonly link?: string;
}

const MOST_POINTS = 1500;

/** Random numbers that belong to a text. */
export function randomOf(text: string): () => number {
  const seed = [...text].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 1e9, 7) % 1e6;
  const random = randomNumbers(seed);
  for (let i = 0; i < 8; i++) random(); // the first ones of names alike are alike
  return random;
}

/** So many steps at most, evenly spread over those of the run. */
export function stepsOf({ steps, first_step, last_step }: Run, most = MOST_POINTS): number[] {
  const rows = Math.min(steps, most);
  if (rows === 1) return [first_step];
  return Array.from({ length: rows }, (_, i) =>
    Math.round(first_step + (i / (rows - 1)) * (last_step - first_step)),
  );
}

type Made = Pick<State, "value" | "threshold">;

export function part(run: Run, column: string, { value, threshold }: Made): SeriesPart {
  const steps = run.recorded || column === "loss" ? stepsOf(run) : [];
  const random = randomOf(run.name);
  const shift = random();
  const limit = threshold ?? (() => run.rule.threshold ?? Infinity);
  const values = steps.map(
    (step) => value?.(step) ?? made(column, step, random(), shift, { ...run, limit: limit(step) }),
  );
  const times = steps.map((step) => run.first_wall_time + step / 2);
  const bounds = column === "clip_rate" ? ["low", "high"] : [];
  const reach = [-0.06, 0.06].map((by) =>
    values.map((each) => Math.min(Math.max(each + by, 0), 1)),
  );
  return {
    run: run.name,
    column,
    fields: ["step", "wall_time", "value", ...bounds],
    total: steps.length > 0 ? run.steps : 0,
    values: [steps, times, values, ...(bounds.length > 0 ? reach : [])],
  };
}

function made(
  column: string,
  step: number,
  random: number,
  shift: number,
  { rule, limit: threshold }: Run & { readonly limit: number },
): number {
  const noise = (random - 0.5) * 0.3;
  const norm = Math.exp(noise * 4 + shift - step / 4000);
  if (column === "loss") return 0.4 + shift + 2.5 * Math.exp(-step / 900) + noise * 0.2;
  if (column === "norm_before") return norm;
  if (column === "norm_after") return Math.min(norm, threshold);
  if (column === "threshold") return threshold;
  if (column === "coefficient") return Math.min(threshold / norm, 1);
  if (column === "clipped") return norm > threshold ? 1 : 0;
  if (column === "nonfinite") return 0;
  if (rule.kind === "none") return NaN;
  const rate = Math.min(Math.max(0.9 * Math.exp(-step / 3000) - shift * 0.3 + noise * 0.2, 0), 1);
  return column === "throttle" ? rate * 0.4 : rate;
}
