import { describe, expect, it } from "vitest";
import { bars, outline, powerTicks, shareAbove, signedLogAxis } from "../../src/model/density";

const HALF_OCTAVES = {
  low: [-3, -2, 1, 1.5, 2, 3],
  high: [-2, -1.5, 1.5, 2, 3, 4],
  counts: [4, 2, 6, 4, 6, 4],
};

describe("signedLogAxis", () => {
  const axis = signedLogAxis([HALF_OCTAVES]);

  it("is odd and ascending, with zero in the middle", () => {
    const values = [-4, -2, -1, 0, 1, 1.5, 4];
    const positions = values.map(axis.position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    for (const value of values) expect(axis.position(-value)).toBeCloseTo(-axis.position(value));
    expect(axis.position(0)).toBe(0);
    expect(axis.position(4)).toBe(axis.reach);
  });

  it("gives every octave the same width", () => {
    expect(axis.position(2) - axis.position(1)).toBeCloseTo(1);
    expect(axis.position(4) - axis.position(2)).toBeCloseTo(1);
  });

  it("finds back the value of a position, and zero in the gap", () => {
    for (const value of [-4, -1, 1, 1.7, 4]) {
      expect(axis.value(axis.position(value))).toBeCloseTo(value);
    }
    expect(axis.value(0.2)).toBe(0);
  });

  it("holds the limits it is given, and something when there is nothing", () => {
    expect(signedLogAxis([HALF_OCTAVES], [64]).largest).toBe(64);
    const empty = signedLogAxis([]);
    expect(empty.reach).toBeGreaterThan(0);
    expect(Number.isFinite(empty.position(0.5))).toBe(true);
  });

  it("copes with the smallest and the largest floats", () => {
    const wide = signedLogAxis([{ low: [5e-324], high: [1.7e308], counts: [1] }]);
    expect(wide.position(5e-324)).toBeGreaterThan(0);
    expect(wide.reach).toBeGreaterThan(2000);
  });
});

describe("bars", () => {
  it("have areas that are the counts", () => {
    const axis = signedLogAxis([HALF_OCTAVES]);
    bars(HALF_OCTAVES, axis).forEach((bar, i) => {
      expect(bar.density * (bar.to - bar.from)).toBeCloseTo(HALF_OCTAVES.counts[i] as number);
    });
  });

  it("are equally high for values spread evenly over octaves, though bins alternate in width", () => {
    const spread = {
      low: [1, 1.5, 2, 3],
      high: [1.5, 2, 3, 4],
      counts: [Math.log2(1.5), Math.log2(4 / 3), Math.log2(1.5), Math.log2(4 / 3)],
    };
    for (const bar of bars(spread, signedLogAxis([spread]))) expect(bar.density).toBeCloseTo(1);
  });

  it("have no infinite height where a bin has no width", () => {
    const flat = { low: [1, 2], high: [1, 4], counts: [5, 1] };
    expect(bars(flat, signedLogAxis([flat]))[0]?.density).toBe(0);
  });
});

describe("outline", () => {
  it("walks along bars that touch and returns to the ground between those that do not", () => {
    const list = [
      { from: 0, to: 1, density: 2 },
      { from: 1, to: 2, density: 3 },
      { from: 4, to: 5, density: 1 },
    ];
    expect(outline(list)).toEqual([
      [0, 0],
      [0, 2],
      [1, 2],
      [1, 3],
      [2, 3],
      [2, 0],
      [4, 0],
      [4, 1],
      [5, 1],
      [5, 0],
    ]);
    expect(outline([])).toEqual([]);
  });
});

describe("powerTicks", () => {
  it("are mirrored powers of ten around zero", () => {
    const axis = signedLogAxis([{ low: [0.001], high: [1], counts: [1] }]);
    expect(powerTicks(axis, 9)).toEqual([-1, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 1]);
  });

  it("thin out where there is little room", () => {
    const axis = signedLogAxis([{ low: [1e-12], high: [1], counts: [1] }]);
    expect(powerTicks(axis, 7).length).toBeLessThanOrEqual(7);
  });
});

describe("shareAbove", () => {
  it("agrees with counting, whole bins at a time", () => {
    const total = 26;
    expect(shareAbove(HALF_OCTAVES, total, 0)).toBe(1);
    expect(shareAbove(HALF_OCTAVES, total, 2)).toBeCloseTo(14 / 26);
    expect(shareAbove(HALF_OCTAVES, total, 4)).toBe(0);
    expect(shareAbove(HALF_OCTAVES, 2 * total, 0)).toBe(0.5);
  });

  it("never rises with the magnitude", () => {
    let last = 1;
    for (let size = 0.5; size < 5; size += 0.05) {
      const share = shareAbove(HALF_OCTAVES, 26, size);
      expect(share).toBeLessThanOrEqual(last);
      last = share;
    }
  });

  it("is nothing of nothing", () => {
    expect(shareAbove({ low: [], high: [], counts: [] }, 0, 1)).toBe(0);
  });
});
