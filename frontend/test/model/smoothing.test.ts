import { describe, expect, it } from "vitest";
import { smooth } from "../../src/model/smoothing";
import { randomNumbers } from "../random";

const steps = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("smooth", () => {
  it("changes nothing at weight 0, and never its input", () => {
    const y = [3, NaN, 1];
    expect([...smooth([0, 1, 2], y, 0)]).toEqual([3, NaN, 1]);
    smooth([0, 1, 2], y, 0.9);
    expect(y).toEqual([3, NaN, 1]);
  });

  it("is the debiased average on evenly spaced points", () => {
    const random = randomNumbers(1);
    const y = Array.from({ length: 50 }, () => random() * 10 - 5);
    const result = smooth(steps(50), y, 0.7);
    let average = 0;
    y.forEach((value, i) => {
      average = 0.7 * average + 0.3 * value;
      expect(result[i]).toBeCloseTo(average / (1 - 0.7 ** (i + 1)), 10);
    });
  });

  it("starts afresh after what is not finite, and leaves that as it is", () => {
    const result = smooth(steps(6), [1, 1, NaN, 9, Infinity, 4], 0.9);
    expect([...result]).toEqual([1, 1, NaN, 9, Infinity, 4]);
  });

  it("stays between the smallest and the largest value", () => {
    const random = randomNumbers(2);
    const x = steps(200).map((i) => i + random() * 0.9);
    const y = x.map(() => random());
    for (const value of smooth(x, y, 0.95)) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
  });

  it("forgets more over a wide gap than over a narrow one", () => {
    const near = smooth([0, 1, 2, 10], [0, 0, 1, 1], 0.8)[2] as number;
    const far = smooth([0, 1, 9, 10], [0, 0, 1, 1], 0.8)[2] as number;
    expect(far).toBeGreaterThan(near);
  });

  it("copes with none, one and coinciding points", () => {
    expect([...smooth([], [], 0.5)]).toEqual([]);
    expect([...smooth([4], [2], 0.5)]).toEqual([2]);
    expect([...smooth([4, 4], [2, 2], 0.5)]).toEqual([2, 2]);
  });
});
