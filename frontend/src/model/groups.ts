// Runs that differ in a seed or the like, taken together: which they are, and their mean with its extremes.

export interface Grouping {
  /** The group of every name, or null where runs stand for themselves. */
  readonly groupOf: ((name: string) => string) | null;
  /** What is wrong with the pattern; null when nothing is. */
  readonly error: string | null;
}

/**
 * Groups by a case-insensitive regular expression. Its first capturing group, where there is one and it took part in
 * the match, is the name of the run's group; else the group is the run's name without every match, and without
 * separators that then begin or end it. A name that does not match is a group by itself. An empty pattern groups
 * nothing, and so does an invalid one, of which `error` says so.
 */
export function compileGrouping(pattern: string): Grouping {
  const text = pattern.trim();
  if (text === "") return { groupOf: null, error: null };
  let expression: RegExp;
  try {
    expression = new RegExp(text, "gi");
  } catch {
    return { groupOf: null, error: "Not a valid regular expression; runs are not grouped." };
  }
  const groupOf = (name: string): string => {
    const found = [...name.matchAll(expression)][0];
    if (!found) return name;
    if (found[1] !== undefined && found[1] !== "") return found[1];
    const rest = name.replace(expression, "").replace(/^[\s/_.,=-]+|[\s/_.,=-]+$/g, "");
    return rest === "" ? "(all)" : rest;
  };
  return { groupOf, error: null };
}

/** One run of a group; `low` and `high` are the extremes around `y`, of a line that is not reduced `y` itself. */
export interface Member {
  /** Ascending. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

export interface GroupLine {
  readonly x: Float64Array;
  readonly mean: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** How many runs have a value there. */
  readonly count: Float64Array;
}

/**
 * Mean, smallest and largest value of a group's runs at every x at which any of them has a row.
 *
 * A run's value between two rows lies on the straight line between them if both are finite; before its first row,
 * after its last one and beside a row that is not finite it has none. Where fewer than half of the runs have one, all
 * three are NaN. On a log axis the mean is geometric, as the eye takes it there, and 0 if any value is not positive.
 * No runs, or runs without rows, give no points.
 */
export function groupLine(members: readonly Member[], logarithmic: boolean): GroupLine {
  const x = unionOf(members.map((member) => member.x));
  const mean = new Float64Array(x.length);
  const [low, high] = [x.map(() => Infinity), x.map(() => -Infinity)];
  const count = new Float64Array(x.length);
  const sum = new Float64Array(x.length);
  for (const member of members) {
    const values = interpolated(member.x, member.y, x);
    const lowest = interpolated(member.x, member.low, x);
    const highest = interpolated(member.x, member.high, x);
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) return;
      count[i] = (count[i] as number) + 1;
      sum[i] = (sum[i] as number) + (logarithmic ? Math.log(Math.max(value, 0)) : value);
      low[i] = Math.min(low[i] as number, lowest[i] as number);
      high[i] = Math.max(high[i] as number, highest[i] as number);
    });
  }
  x.forEach((_, i) => {
    const n = count[i] as number;
    const average = (sum[i] as number) / n;
    mean[i] = logarithmic ? Math.exp(average) : average;
    if (n === 0 || 2 * n < members.length) mean[i] = low[i] = high[i] = NaN;
  });
  return { x, mean, low, high, count };
}

/** All numbers of ascending arrays, ascending, each once. */
function unionOf(arrays: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let end = 0;
  for (const array of arrays) {
    all.set(array, end);
    end += array.length;
  }
  all.sort();
  return all.filter((value, i) => i === 0 || value !== all[i - 1]);
}

/** Values of a line at the places `at`, which ascend; NaN where it has none. Of rows at one x, the last counts. */
function interpolated(x: Float64Array, y: Float64Array, at: Float64Array): Float64Array {
  const result = new Float64Array(at.length).fill(NaN);
  let row = 0; // the first row beyond the place
  at.forEach((place, i) => {
    while (row < x.length && (x[row] as number) <= place) row++;
    const [left, right] = [x[row - 1], x[row]];
    if (left === undefined) return;
    if (left === place) result[i] = y[row - 1] as number;
    else if (right !== undefined) {
      const share = (place - left) / (right - left);
      const [from, to] = [y[row - 1] as number, y[row] as number];
      if (Number.isFinite(from) && Number.isFinite(to)) result[i] = from + share * (to - from);
    }
  });
  return result;
}
