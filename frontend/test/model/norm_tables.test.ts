import { describe, expect, it } from "vitest";
import { blameCells, windowCells } from "../../src/model/norm_tables";

describe("norms of parameters as a table", () => {
  const known = {
    run: "a",
    parameters: ["w", "b"],
    windows: 2,
    first_step: [0, 10],
    last_step: [9, 19],
    norm_before_mean: [1, 2, 3, NaN],
    norm_before_max: [4, 5, 6, NaN],
  };

  it("have a row for each window of the parameter", () => {
    const [head, ...rows] = windowCells(known, "b");
    expect(head).toEqual(["run", "parameter", "first_step", "last_step", "norm_mean", "norm_max"]);
    expect(rows).toEqual([
      ["a", "b", 0, 9, 3, 6],
      ["a", "b", 10, 19, NaN, NaN],
    ]);
    expect(windowCells(known, "nobody")).toEqual([head]);
  });

  it("have a row for each step of each line of a timeline", () => {
    const line = (name: string, norms: number[]) => ({
      ...{ name, lead: null, usual: 2, norms },
      ratio: Float64Array.from(norms, (norm) => norm / 2),
    });
    const rows = blameCells("a", [7, 8], [line("w", [2, 8]), line("b", [4, NaN])]);
    expect(rows.slice(1)).toEqual([
      ["a", "w", 7, 2, 1],
      ["a", "w", 8, 8, 4],
      ["a", "b", 7, 4, 2],
      ["a", "b", 8, NaN, NaN],
    ]);
    expect(rows[0]).toHaveLength(5);
  });
});
