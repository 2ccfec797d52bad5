import { describe, expect, it } from "vitest";
import { histogramTable, mapTable } from "../../src/model/histogram_table";
import { csvText, tsvText } from "../../src/model/table";

describe("csvText", () => {
  it("quotes what would end a cell", () => {
    expect(csvText([['a "b"', "c,d", "e\nf", "g"]])).toBe('"a ""b""","c,d","e\nf",g\r\n');
  });

  it("writes numbers to the last digit, and what is none by its name", () => {
    const row = [0.1 + 0.2, -1, 1e21, NaN, Infinity, -Infinity, null];
    expect(csvText([row])).toBe("0.30000000000000004,-1,1e+21,nan,inf,-inf,\r\n");
  });

  it.each(["=1+2", "+1", "-1", "@A1", "\tx", "＝1"])("makes no formula of %j", (text) => {
    expect(csvText([[text, `a${text}`]])).toMatch(/^"?'/);
    expect(csvText([[`a${text}`]])).not.toContain("'");
  });
});

it("tsvText keeps a cell in its place", () => {
  expect(
    tsvText([
      ["a\tb\nc", 1],
      ["=d", null],
    ]),
  ).toBe("a b c\t1\n'=d\t");
});

it("histogramTable counts every gradient once on either side", () => {
  const tally = { size: 10, zero: 2, nan: 1, positive_infinity: 0, negative_infinity: 3 };
  const side = { low: [-2, 1], high: [-1, 2], counts: [3, 1], ...tally };
  const [, ...rows] = histogramTable({
    run: "a",
    step: 5,
    parameter: null,
    before: side,
    after: side,
  });
  for (const name of ["before", "after"]) {
    const counts = rows.filter((row) => row[3] === name).map((row) => Number(row[6]));
    expect(counts.reduce((sum, count) => sum + count)).toBe(10);
  }
  expect(rows[0]).toEqual(["a", 5, "", "before", -2, -1, 3]);
});

it("mapTable has a row for each cell, whose shares add up to 1 on either side of a step", () => {
  const [header, ...rows] = mapTable({
    ...{ run: "a", parameter: null, steps: 2, bins: 2 },
    step: Float64Array.of(0, 50),
    edges: Float64Array.of(0.01, 0.1, 1),
    before: Float64Array.of(0.1, 0.5, 0.2, 0.4),
    after: Float64Array.of(0.6, 0, 0.6, 0),
    before_zero: Float64Array.of(0.4, 0.25),
    after_zero: Float64Array.of(0.4, 0.25),
    before_nonfinite: Float64Array.of(0, 0.15),
    after_nonfinite: Float64Array.of(0, 0.15),
  });
  expect(header).toEqual(["run", "step", "parameter", "side", "low", "high", "share"]);
  expect(rows).toHaveLength(2 * 2 * (2 + 2));
  expect(rows.slice(4, 8)).toEqual([
    ["a", 0, "", "after", 0, 0, 0.4],
    ["a", 0, "", "after", 0.01, 0.1, 0.6],
    ["a", 0, "", "after", 0.1, 1, 0],
    ["a", 0, "", "after", NaN, NaN, 0],
  ]);
  for (let first = 0; first < rows.length; first += 4) {
    const shares = rows.slice(first, first + 4).map((row) => row[6] as number);
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  }
});
