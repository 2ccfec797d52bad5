// Recorded histograms as tables.

import type { Histogram } from "./density";
import { shareIn, SIDES, type MapData } from "./histogram_map";
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

export interface CellsOfMap extends MapData {
  readonly run: string;
  readonly parameter: string | null;
  readonly before_nonfinite: Float64Array;
  readonly after_nonfinite: Float64Array;
}

/** A row for each cell of a map over steps; zeros and what is not finite have equal bounds, 0 and NaN. */
export function mapTable(map: CellsOfMap): Cell[][] {
  const rows: Cell[][] = [["run", "step", "parameter", "side", "low", "high", "share"]];
  const name = map.parameter ?? "";
  for (let column = 0; column < map.steps; column++) {
    const step = map.step[column] ?? null;
    for (const side of SIDES) {
      const row = (low: number, high: number, share: number | undefined): void => {
        rows.push([map.run, step, name, side, low, high, share ?? NaN]);
      };
      row(0, 0, map[`${side}_zero`][column]);
      for (let bin = 0; bin < map.bins; bin++) {
        const share = shareIn(map, side, column, bin);
        row(map.edges[bin] as number, map.edges[bin + 1] as number, share);
      }
      row(NaN, NaN, map[`${side}_nonfinite`][column]);
    }
  }
  return rows;
}
