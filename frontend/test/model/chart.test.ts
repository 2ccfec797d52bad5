import { describe, expect, it } from "vitest";
import { beyondRange, hasValues, shareOf, verticalRange, visibleRows } from "../../src/model/chart";

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

describe("verticalRange of most", () => {
  const y = Array.from({ length: 300 }, (_, i) => (i === 150 ? 500 : 1 + (i % 7) / 7));
  const spiky = { ...line(Array.from(y.keys()), y), colour: "#123456" };

  it("leaves out a spike that the full range spans, and an arrow shows where it was", () => {
    const full = verticalRange([spiky], [0, 300], false);
    const most = verticalRange([spiky], [0, 300], false, [], true);
    expect(full[1]).toBeGreaterThan(500);
    expect(most[1]).toBeLessThan(3);
    expect(beyondRange([spiky], [0, 300], full)).toEqual([]);
    expect(beyondRange([spiky], [0, 300], most)).toEqual([
      { x: 150, above: true, colour: "#123456" },
    ]);
  });

  it("still includes thresholds", () => {
    expect(verticalRange([spiky], [0, 300], false, [50], true)[1]).toBeGreaterThan(50);
  });
});

it("beyondRange points at the furthest row of each stretch in sight, above or below", () => {
  const one = { ...line([0, 1, 2, 3, 4, 5, 6, 7], [9, 7, 5, -1, -3, NaN, -9, 99]), colour: "c" };
  expect(beyondRange([one], [0, 6], [0, 6]).map(({ x, above }) => [x, above])).toEqual([
    [0, true],
    [4, false],
    [6, false],
  ]);
});

it("hasValues is false where nothing is finite", () => {
  expect(hasValues([line([0, 1], [NaN, Infinity])], [0, 1])).toBe(false);
  expect(hasValues([line([0, 1], [NaN, 1])], [0, 1])).toBe(true);
  expect(hasValues([], [0, 1])).toBe(false);
  expect(hasValues([line([], [])], [0, 1])).toBe(false);
});

it("hasValues is false beyond either end of all lines, and true where one runs right through", () => {
  const one = line([0, 10], [1, 2]);
  expect(hasValues([one], [20, 30])).toBe(false);
  expect(hasValues([one], [-20, -1])).toBe(false);
  expect(hasValues([one], [3, 4])).toBe(true);
  expect(hasValues([one], [10, 30])).toBe(true);
});

it("shareOf runs from 0 to 1 over the range", () => {
  expect([0, 25, 100].map((x) => shareOf([0, 100], x))).toEqual([0, 0.25, 1]);
});
