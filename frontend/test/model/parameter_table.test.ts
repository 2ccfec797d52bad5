import { describe, expect, it } from "vitest";
import {
  COLUMNS,
  MODEL_ORDER,
  nextSort,
  parameterCells,
  parameterRows,
  rowsInView,
  sortedRows,
  type SortKey,
} from "../../src/model/parameter_table";
import { windowTable } from "../window_table";

const TABLE = windowTable({
  steps: [10, 30],
  norms: [
    [3, 3],
    [4, NaN],
    [0, 4],
  ],
  clipped: [
    [5, 30],
    [1, 0],
    [0, 0],
  ],
  nonfinite: [
    [0, 10],
    [0, 30],
    [0, 0],
  ],
  names: ["w", "broken", "b"],
});
const ROWS = parameterRows(TABLE);

describe("parameterRows", () => {
  it("weights means by the steps with a finite norm", () => {
    const [w, broken, b] = ROWS;
    expect(w?.norm).toBe(3);
    expect(w?.share).toBeCloseTo((0.36 * 10 + 0.36 * 20) / 30, 6);
    expect(w?.clip_rate).toBeCloseTo((0.5 * 10 + 1 * 20) / 30, 6);
    expect(b?.norm).toBe(3);
    expect([broken?.norm, broken?.nonfinite]).toEqual([4, 30]);
  });

  it("takes the share of now from the newest window that has one", () => {
    expect(ROWS[1]?.share_now).toBeCloseTo(0.64, 6);
    expect(ROWS[2]?.share_now).toBeCloseTo(16 / 25, 6);
  });

  it("keeps the largest norm of all windows and passes over NaN", () => {
    expect(ROWS.map((row) => row.norm_max)).toEqual([3, 4, 4]);
    const never = parameterRows(windowTable({ steps: [4], norms: [[NaN]], nonfinite: [[4]] }));
    expect(never[0]).toMatchObject({ norm: NaN, norm_max: NaN, share: NaN, clip_rate: NaN });
  });

  it("has the shape in words and the number of elements to sort by", () => {
    expect(ROWS.map((row) => [row.shape, row.elements])).toEqual([
      ["1 × 2", 2],
      ["2 × 2", 4],
      ["3 × 2", 6],
    ]);
    const scalar = parameterRows({ ...TABLE, shapes: [[]] });
    expect(scalar[0]).toMatchObject({ shape: "scalar", elements: 1 });
  });
});

describe("sortedRows", () => {
  const names = (key: SortKey, descending: boolean): string[] =>
    sortedRows(ROWS, { key, descending }).map((row) => row.name);

  it("sorts either way and leaves equal ones in the order of the model", () => {
    expect(names("name", false)).toEqual(["b", "broken", "w"]);
    expect(names("name", true)).toEqual(["w", "broken", "b"]);
    expect(names("norm_max", true)).toEqual(["broken", "b", "w"]);
    expect(names("place", false)).toEqual(["w", "broken", "b"]);
  });

  it("puts NaN last either way", () => {
    const rows = ROWS.map((row) => (row.name === "broken" ? { ...row, norm: NaN } : row));
    for (const descending of [true, false]) {
      expect(sortedRows(rows, { key: "norm", descending }).at(-1)?.name).toBe("broken");
    }
  });
});

it("pressing a heading three times goes back to the order of the model", () => {
  for (const { key } of COLUMNS) {
    const once = nextSort(MODEL_ORDER, key);
    expect(once).toEqual({ key, descending: true });
    expect(nextSort(once, key)).toEqual({ key, descending: false });
    expect(nextSort(nextSort(once, key), key)).toEqual(MODEL_ORDER);
  }
  expect(nextSort(MODEL_ORDER, "name")).toEqual({ key: "name", descending: false });
});

it("rows taken along have a line each and numbers as they are", () => {
  const cells = parameterCells(ROWS);
  expect(cells).toHaveLength(4);
  expect(cells[0]?.[4]).toBe("norm");
  expect(cells[1]?.slice(0, 2)).toEqual(["w", "1 × 2"]);
  expect(cells[1]?.[3]).toBe(ROWS[0]?.share);
});

it("rows in view cover the view wherever it is scrolled to, and are few", () => {
  for (let scrolled = 0; scrolled <= 500 * 25 - 300; scrolled += 37) {
    const [from, to] = rowsInView(500, 25, scrolled, 300);
    expect(from * 25).toBeLessThanOrEqual(scrolled);
    expect(to * 25).toBeGreaterThanOrEqual(scrolled + 300);
    expect(to - from).toBeLessThan(32);
  }
  expect(rowsInView(3, 25, 0, 300)).toEqual([0, 3]);
  expect(rowsInView(3, 25, 9000, 300)[0]).toBeLessThanOrEqual(3); // scrolled before a search left three
});
