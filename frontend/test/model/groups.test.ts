import { describe, expect, it } from "vitest";
import { compileGrouping, groupLine, type Member } from "../../src/model/groups";
import { randomNumbers } from "../random";

describe("compileGrouping", () => {
  const names = (pattern: string, ...of: string[]): string[] =>
    of.map((name) => compileGrouping(pattern).groupOf?.(name) ?? "ungrouped");

  it("takes what matches away, and separators that are left over", () => {
    expect(names("seed\\d+", "lr1/seed3", "lr1_SEED12", "seed2-lr1", "other")).toEqual([
      "lr1",
      "lr1",
      "lr1",
      "other",
    ]);
    expect(names(".*", "a")).toEqual(["(all)"]);
  });

  it("takes the first capturing group as the name, where it took part", () => {
    expect(names("^(lr\\d)|seed", "lr1/seed3", "lr1/seed4", "x/seed")).toEqual(["lr1", "lr1", "x"]);
  });

  it("groups nothing without a pattern or with half a one", () => {
    expect(compileGrouping(" ")).toEqual({ groupOf: null, error: null });
    expect(compileGrouping("(seed").groupOf).toBeNull();
    expect(compileGrouping("(seed").error).toContain("Not a valid");
  });
});

const random = randomNumbers(11);

function member(rows: readonly (readonly [number, number])[], spread = 0): Member {
  const y = Float64Array.from(rows, (row) => row[1]);
  return {
    x: Float64Array.from(rows, (row) => row[0]),
    y,
    low: y.map((value) => value - spread),
    high: y.map((value) => value + spread),
  };
}

/** The value of a line at a place by looking at every pair of neighbours. */
function at({ x }: Member, y: Float64Array, place: number): number {
  for (let i = 0; i < x.length; i++) if (x[i] === place) return y[i] as number;
  for (let i = 0; i + 1 < x.length; i++) {
    const [a, b] = [x[i] as number, x[i + 1] as number];
    if (a < place && place < b) {
      return ((y[i] as number) * (b - place) + (y[i + 1] as number) * (place - a)) / (b - a);
    }
  }
  return NaN;
}

describe("groupLine", () => {
  it("is the mean and the extremes of the runs, as brute force finds them", () => {
    for (let trial = 0; trial < 40; trial++) {
      const logarithmic = trial % 2 === 0;
      const members = Array.from({ length: 1 + (trial % 5) }, () => {
        let x = Math.floor(random() * 6);
        const rows = Array.from({ length: Math.floor(random() * 9) }, () => {
          x += 1 + Math.floor(random() * 3);
          return [x, random() < 0.15 ? NaN : 0.2 + random()] as const;
        });
        return member(rows, 0.1);
      });
      const line = groupLine(members, logarithmic);
      const grid = [...new Set(members.flatMap((one) => [...one.x]))].sort((a, b) => a - b);
      expect([...line.x]).toEqual(grid);
      grid.forEach((place, i) => {
        const known = members.filter((one) => Number.isFinite(at(one, one.y, place)));
        const values = known.map((one) => at(one, one.y, place));
        expect(line.count[i]).toBe(values.length);
        if (values.length === 0 || values.length * 2 < members.length) {
          expect([line.mean[i], line.low[i], line.high[i]]).toEqual([NaN, NaN, NaN]);
          return;
        }
        const expected = logarithmic
          ? values.reduce((product, value) => product * value, 1) ** (1 / values.length)
          : values.reduce((sum, value) => sum + value, 0) / values.length;
        expect(line.mean[i]).toBeCloseTo(expected, 9);
        expect(line.low[i]).toBeCloseTo(
          Math.min(...known.map((one) => at(one, one.low, place))),
          9,
        );
        expect(line.high[i]).toBeCloseTo(
          Math.max(...known.map((one) => at(one, one.high, place))),
          9,
        );
      });
    }
  });

  it("never reaches across a value that is not finite, nor beyond a run's ends", () => {
    const broken = member([
      [0, 1],
      [2, NaN],
      [4, 3],
    ]);
    const whole = member([0, 1, 2, 3, 4, 5, 6].map((x) => [x, 2] as const));
    expect([...groupLine([broken, whole], false).count]).toEqual([2, 1, 1, 1, 2, 1, 1]);
    expect([...groupLine([broken, whole, whole], false).mean]).toEqual([
      5 / 3,
      2,
      2,
      2,
      7 / 3,
      2,
      2,
    ]);
    expect([...groupLine([broken, broken, whole], false).mean].slice(1, 4)).toEqual([
      NaN,
      NaN,
      NaN,
    ]);
  });

  it("is zero by ratio where a value is, and nothing of nothing", () => {
    const zero = member([[0, 0]]);
    expect([...groupLine([zero, member([[0, 5]])], true).mean]).toEqual([0]);
    expect(groupLine([], false).x).toHaveLength(0);
    expect(groupLine([member([])], true).mean).toHaveLength(0);
  });
});
