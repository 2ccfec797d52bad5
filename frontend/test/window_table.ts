import type { WindowTable } from "../src/model/heatmap";

interface Given {
  readonly steps: readonly number[];
  /** Mean norm of each parameter in each window. */
  readonly norms: readonly (readonly number[])[];
  readonly clipped?: readonly (readonly number[])[];
  readonly nonfinite?: readonly (readonly number[])[];
  readonly names?: readonly string[];
}

/** Windows that follow each other from step 0 on; the largest norm is the mean, as if all steps were alike. */
export function windowTable({ steps, norms, clipped, nonfinite, names }: Given): WindowTable {
  const zeros = norms.map((row) => row.map(() => 0));
  const last = steps.map((_, w) => steps.slice(0, w + 1).reduce((a, b) => a + b, 0) - 1);
  const joint = steps.map((_, w) =>
    Math.hypot(...norms.map((row) => row[w] as number).filter(Number.isFinite)),
  );
  return {
    windows: steps.length,
    parameters: names ?? norms.map((_, p) => `p${p}`),
    shapes: norms.map((_, p) => [p + 1, 2]),
    first_step: last.map((step, w) => step - (steps[w] as number) + 1),
    last_step: last,
    steps,
    norm: joint,
    norm_before_mean: norms.flat(),
    norm_before_max: norms.flat(),
    norm_after_mean: norms.flat(),
    clipped: (clipped ?? zeros).flat(),
    nonfinite: (nonfinite ?? zeros).flat(),
  };
}
