// Norms of single parameters as tables to take along.

import type { BlameLine } from "./blame";
import type { Cell } from "./table";

interface Windows {
  readonly run: string;
  readonly parameters: readonly string[];
  readonly windows: number;
  readonly first_step: ArrayLike<number>;
  readonly last_step: ArrayLike<number>;
  readonly norm_before_mean: ArrayLike<number>;
  readonly norm_before_max: ArrayLike<number>;
}

/** A row for each window of one parameter, below the headings; only these for a parameter that is not there. */
export function windowCells(known: Windows, parameter: string): Cell[][] {
  const head = ["run", "parameter", "first_step", "last_step", "norm_mean", "norm_max"];
  const p = known.parameters.indexOf(parameter);
  const rows = Array.from({ length: p < 0 ? 0 : known.windows }, (_, w): Cell[] => [
    ...[known.run, parameter],
    ...[known.first_step[w] ?? NaN, known.last_step[w] ?? NaN],
    known.norm_before_mean[p * known.windows + w] ?? NaN,
    known.norm_before_max[p * known.windows + w] ?? NaN,
  ]);
  return [head, ...rows];
}

/** A row for each step of each parameter of a timeline, below the headings. */
export function blameCells(
  run: string,
  steps: ArrayLike<number>,
  lines: readonly BlameLine[],
): Cell[][] {
  const rows = lines.flatMap(({ name, norms, ratio }) =>
    Array.from(steps, (step, i): Cell[] => [run, name, step, norms[i] ?? NaN, ratio[i] ?? NaN]),
  );
  return [["run", "parameter", "step", "norm", "norm_over_median_before"], ...rows];
}
