import { describe, expect, it } from "vitest";
import {
  binAt,
  columnAt,
  heightOf,
  isShown,
  peakOf,
  shade,
  shareIn,
  stepRange,
  ZERO_GAP,
  ZERO_ROW,
  type MapData,
} from "../../src/model/histogram_map";

const map: MapData = {
  steps: 3,
  bins: 2,
  step: Float64Array.of(0, 50, 150),
  edges: Float64Array.of(0.01, 0.1, 1),
  before: Float64Array.of(0.1, 0.5, 0.2, 0.4, 0.3, 0.3),
  after: Float64Array.of(0.6, 0, 0.6, 0, 0.6, 0),
  before_zero: Float64Array.of(0.4, 0.4, 0.4),
  after_zero: Float64Array.of(0.4, 0.4, 0.4),
};
const none = { step: Float64Array.of(), edges: Float64Array.of(), bins: 0 };

describe("columns", () => {
  it("reach from their step to the next, the last one as far as they do on average", () => {
    expect(stepRange(map)).toEqual([0, 225]);
    expect(stepRange({ step: Float64Array.of(7) })).toEqual([7, 8]);
    expect([-5, 0, 49, 50, 149, 150, 999].map((step) => columnAt(map, step))).toEqual([
      0, 0, 0, 1, 1, 2, 2,
    ]);
    expect(columnAt(none, 3)).toBe(-1);
  });
});

it("isShown is false before the first column and after the last one, which may be asked to reach further", () => {
  expect([-1, 0, 225, 226].map((step) => isShown(map, step, null))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([300, 301].map((step) => isShown(map, step, 300))).toEqual([true, false]);
  expect(isShown(none, 0, 9)).toBe(false);
});

describe("rows", () => {
  it("rise with the logarithm of the magnitude, above the zeros", () => {
    const floor = ZERO_ROW + ZERO_GAP;
    expect(heightOf(map, 0)).toBe(0);
    expect(heightOf(map, 0.01)).toBeCloseTo(floor);
    expect(heightOf(map, 0.1)).toBeCloseTo(floor + (1 - floor) / 2);
    expect(heightOf(map, 1)).toBe(1);
    expect(heightOf(map, 50)).toBe(1);
    expect(heightOf(none, 1)).toBe(0);
  });

  it("are found again at their height", () => {
    for (const [bin, middle] of [0.03, 0.3].entries()) {
      expect(binAt(map, heightOf(map, middle))).toBe(bin);
    }
    expect([binAt(map, 0), binAt(map, ZERO_ROW + ZERO_GAP / 2), binAt(map, 1)]).toEqual([
      -1,
      null,
      1,
    ]);
    expect(binAt(none, 0.9)).toBeNull();
  });

  it("say which share lies in them", () => {
    expect(shareIn(map, "before", 1, 1)).toBe(0.4);
    expect(shareIn(map, "after", 2, 0)).toBe(0.6);
    expect(shareIn(map, "before", 0, -1)).toBe(0.4);
    expect(shareIn(map, "before", 9, 0)).toBeNaN();
  });
});

it("shades rise with the share up to the largest before clipping, and tails still show", () => {
  expect(peakOf(map)).toBe(0.5);
  expect(peakOf({ before: Float64Array.of(NaN, 0), after: Float64Array.of(0.2) })).toBe(0.2);
  expect(peakOf({ before: Float64Array.of(), after: Float64Array.of() })).toBe(0);
  expect([shade(0.6, 0.6), shade(0, 0.6), shade(NaN, 0.6), shade(0.9, 0.6), shade(1, 0)]).toEqual([
    1, 0, 0, 1, 0,
  ]);
  expect(shade(0.006, 0.6)).toBeGreaterThan(0.05);
});
