// A recorded histogram as a table.

import type { Histogram } from "./density";
import type { Cell } from "./table";
import type { Tally } from "./words";

export interface Sides {
  readonly run: string;
  readonly step: number;
  readonly parameter: string | null;
  readonly before: Histogram & Tally;
  readonly after: Histogram & Tally;
}

/** A row for each bin, and for what lies in none: zeros, NaN and both infinities, with equal bounds. */
export function histogramTable({ run, step, parameter, before, after }: Sides): Cell[][] {
  const rows: Cell[][] = [["run", "step", "parameter", "side", "low", "high", "count"]];
  for (const [side, { low, high, counts, ...tally }] of [
    ["before", before],
    ["after", after],
  ] as const) {
    const others = [
      [0, tally.zero],
      [NaN, tally.nan],
      [-Infinity, tally.negative_infinity],
      [Infinity, tally.positive_infinity],
    ] as const;
    const name = parameter ?? "";
    counts.forEach((count, i) =>
      rows.push([run, step, name, side, low[i] ?? null, high[i] ?? null, count]),
    );
    for (const [value, count] of others) rows.push([run, step, name, side, value, value, count]);
  }
  return rows;
}
