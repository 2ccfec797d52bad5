import { describe, expect, it } from "vitest";
import { areSame, constantOf, stairsOf, thresholdsIn } from "../../src/model/threshold_line";
import type { Threshold } from "../../src/model/chart";
import { randomNumbers } from "../random";

/** What stairs say between the rows, by looking at every piece of them. */
function heightAt({ x, y }: ReturnType<typeof stairsOf>, at: number): number {
  for (let i = 0; i + 1 < x.length; i++) {
    const [from, to] = [x[i] as number, x[i + 1] as number];
    if (at > from && at < to) return y[i] === y[i + 1] ? (y[i] as number) : NaN;
  }
  return NaN;
}

describe("the stairs of a threshold", () => {
  it("are, between any two rows, at the height of the earlier one", () => {
    const random = randomNumbers(7);
    for (let round = 0; round < 50; round++) {
      const n = 2 + Math.floor(random() * 30);
      let step = 0;
      const x = Array.from({ length: n }, () => (step += 1 + Math.floor(random() * 5)));
      const y = x.map(() => [0.5, 0.5, 1, 2, NaN, Infinity][Math.floor(random() * 6)] as number);
      const stairs = stairsOf(x, y);
      for (let i = 0; i + 1 < n; i++) {
        const middle = ((x[i] as number) + (x[i + 1] as number)) / 2;
        const expected = Number.isFinite(y[i]) ? y[i] : NaN;
        expect(heightAt(stairs, middle)).toBe(expected);
      }
    }
  });

  it("run level and upright only, and have points where something changes", () => {
    const { x, y } = stairsOf([0, 10, 20, 30, 40, 50], [2, 2, 2, 1, 1, 1]);
    expect([...x]).toEqual([0, 30, 30, 50]);
    expect([...y]).toEqual([2, 2, 1, 1]);
  });

  it("end where there is no threshold and begin anew", () => {
    const { x, y } = stairsOf([0, 1, 2, 3], [Infinity, 1, NaN, 3]);
    expect([...x]).toEqual([1, 2, 2, 3]);
    expect([...y]).toEqual([1, 1, NaN, 3]);
    expect(stairsOf([0, 1], [NaN, NaN]).x).toHaveLength(0);
    expect(stairsOf([], []).x).toHaveLength(0);
  });

  it("are the same if they look the same", () => {
    const [a, b] = [stairsOf([0, 1, 2], [1, NaN, 2]), stairsOf([0, 1, 2], [1, NaN, 2])];
    expect(areSame(a, b)).toBe(true);
    expect(areSame(a, stairsOf([0, 1, 2], [1, NaN, 3]))).toBe(false);
    expect(areSame(a, stairsOf([0, 1], [1, 2]))).toBe(false);
  });
});

describe("a constant threshold", () => {
  it("is finite and the same in all rows", () => {
    expect(constantOf([0.25, 0.25])).toBe(0.25);
    expect(constantOf([0.25, 0.5])).toBeNull();
    expect(constantOf([0.25, NaN])).toBeNull();
    expect(constantOf([NaN, NaN])).toBeNull();
    expect(constantOf([])).toBeNull();
  });
});

describe("thresholds in view", () => {
  const look = { colour: "#000000", label: "threshold", labelColour: "#000000" };
  const flat: Threshold = { value: 1, ...look };
  const changing = (x: number[], y: number[]): Threshold => {
    const style = { run: "a", width: 1, dash: [], opacity: 1, dotted: false };
    const line = { ...style, ...stairsOf(x, y), colour: "#000000" };
    return { value: NaN, ...look, line };
  };

  it("ascend by what they come to at the right edge", () => {
    const one = changing([0, 100, 200], [4, 2, 0.5]);
    expect(thresholdsIn([flat, one], [0, 200]).map(({ value }) => value)).toEqual([0.5, 1]);
    expect(thresholdsIn([flat, one], [0, 150]).map(({ value }) => value)).toEqual([1, 2]);
    expect(thresholdsIn([flat, one], [10, 20]).map(({ value }) => value)).toEqual([1, 4]);
  });

  it("are those that have a part in it", () => {
    const one = changing([0, 100], [4, 2]);
    expect(thresholdsIn([one], [150, 200])).toEqual([]);
    expect(thresholdsIn([changing([0, 100, 200], [1, NaN, 2])], [110, 150])).toEqual([]);
    expect(thresholdsIn([{ ...flat, value: NaN }], [0, 1])).toEqual([]);
  });
});
