import { describe, expect, it } from "vitest";
import { niceStep, SCALES, type ScaleName } from "../../src/model/scales";
import { randomNumbers } from "../random";

const labels = (name: ScaleName, low: number, high: number, most = 6): string[] =>
  SCALES[name].ticks([low, high], most).map((tick) => tick.label);

describe("ticks", () => {
  it("ascend within the range and are few, on every scale", () => {
    const random = randomNumbers(5);
    for (const name of ["linear", "log", "share", "step", "relative", "wall_time"] as const) {
      for (let round = 0; round < 100; round++) {
        const low = name === "wall_time" ? 1.7e9 : 10 ** (random() * 8 - 4);
        const high = low + 10 ** (random() * 10 - 3);
        const values = SCALES[name].ticks([low, high], 6).map((tick) => tick.value);
        expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
        expect(values.length).toBeLessThanOrEqual(14);
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(low - (high - low) * 1e-6);
          expect(value).toBeLessThanOrEqual(high + (high - low) * 1e-6);
        }
      }
    }
  });

  it("of steps are whole, however far one zooms", () => {
    expect(labels("step", 0, 3)).toEqual(["0", "1", "2", "3"]);
    expect(labels("step", 0, 10_000)).toContain("4,000");
    expect(labels("step", 0, 2_000_000)).toEqual(["0", "0.5M", "1M", "1.5M", "2M"]);
  });

  it("of a log axis are powers of ten, then threes, then doubles and fives, then even", () => {
    expect(labels("log", 0.001, 1000)).toEqual(["1e−3", "0.01", "0.1", "1", "10", "100", "1000"]);
    expect(labels("log", 0.05, 20)).toEqual(["0.1", "0.3", "1", "3", "10"]);
    expect(labels("log", 1, 50)).toEqual(["1", "2", "5", "10", "20", "50"]);
    expect(labels("log", 2, 3)).toEqual(["2.0", "2.2", "2.4", "2.6", "2.8", "3.0"]);
    expect(labels("log", 1e-30, 1e30).length).toBeLessThanOrEqual(8);
  });

  it("carry no rounding dirt and no negative zero", () => {
    expect(labels("linear", -0.3, 0.3)).toEqual([
      "−0.3",
      "−0.2",
      "−0.1",
      "0.0",
      "0.1",
      "0.2",
      "0.3",
    ]);
    expect(SCALES.share.ticks([-0.04, 1.04], 3).map((tick) => tick.value)).toEqual([0, 0.5, 1]);
    expect(labels("share", -0.04, 1.04, 3)).toEqual(["0%", "50%", "100%"]);
  });

  it("of time are round in minutes and hours", () => {
    expect(labels("relative", 0, 300, 5)).toEqual(["0", "1 m", "2 m", "3 m", "4 m", "5 m"]);
    expect(labels("relative", 0, 4 * 3600, 4)).toEqual(["0", "1 h", "2 h", "3 h", "4 h"]);
    for (const label of labels("wall_time", 1.7e9, 1.7e9 + 3600)) {
      expect(label).toMatch(/^\d\d:\d0$/);
    }
  });
});

describe("niceStep", () => {
  it("is the next 1, 2 or 5 of a decade", () => {
    expect([0.011, 0.3, 1, 4.9, 6].map(niceStep)).toEqual([0.02, 0.5, 1, 5, 10]);
    expect([0, NaN, Infinity].map(niceStep)).toEqual([1, 1, 1]);
  });
});

describe("log scale", () => {
  it("finds back what it projected", () => {
    for (const value of [1e-9, 0.25, 3, 1e12]) {
      expect(SCALES.log.invert(SCALES.log.project(value)) / value).toBeCloseTo(1);
    }
  });
});
