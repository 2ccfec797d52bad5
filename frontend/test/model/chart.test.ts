import { describe, expect, it } from "vitest";
import { hasValues, shareOf, verticalRange, visibleRows } from "../../src/model/chart";

const line = (x: number[], y: number[]) => ({ x: Float64Array.from(x), y: Float64Array.from(y) });

describe("visibleRows", () => {
  it("takes one more row on either side, towards which the line still runs", () => {
    expect(visibleRows(Float64Array.of(0, 1, 2, 3, 4, 5), [1.5, 3.5])).toEqual([1, 5]);
    expect(visibleRows(Float64Array.of(0, 1, 2), [-9, 9])).toEqual([0, 3]);
    expect(visibleRows(Float64Array.of(), [0, 1])).toEqual([0, 0]);
  });
});

describe("verticalRange", () => {
  it("looks only at what is visible", () => {
    const [low, high] = verticalRange([line([0, 1, 2, 9], [1000, 1, 2, 3])], [1.2, 9], false);
    expect(low).toBeGreaterThan(0);
    expect(high).toBeLessThan(4);
  });

  it("leaves room for the label of a threshold at the bottom, and only there", () => {
    const norms = [line([0, 1], [0.2499, 4])];
    const without = verticalRange(norms, [0, 1], true);
    expect(verticalRange(norms, [0, 1], true, [0.25])[0]).toBeLessThan(without[0]);
    expect(verticalRange(norms, [0, 1], true, [2])).toEqual(without);
  });

  it("includes a threshold", () => {
    expect(verticalRange([line([0], [1])], [0, 1], true, [0.001])[0]).toBeLessThan(0.001);
  });
});

it("hasValues is false where nothing is finite", () => {
  expect(hasValues([line([0, 1], [NaN, Infinity])], [0, 1])).toBe(false);
  expect(hasValues([line([0, 1], [NaN, 1])], [0, 1])).toBe(true);
  expect(hasValues([], [0, 1])).toBe(false);
});

it("shareOf runs from 0 to 1 over the range", () => {
  expect([0, 25, 100].map((x) => shareOf([0, 100], x))).toEqual([0, 0.25, 1]);
});
