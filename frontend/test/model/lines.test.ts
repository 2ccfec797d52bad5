import { describe, expect, it } from "vitest";
import {
  drawable,
  gaps,
  interpolated,
  nearestRow,
  reordered,
  sortingOrder,
} from "../../src/model/lines";
import { randomNumbers } from "../random";

describe("nearestRow", () => {
  it("agrees with looking at every row", () => {
    const random = randomNumbers(3);
    for (let round = 0; round < 200; round++) {
      const x = Array.from({ length: 1 + Math.floor(random() * 20) }, () =>
        Math.floor(random() * 40),
      ).sort((a, b) => a - b);
      const target = random() * 50 - 5;
      const distances = x.map((value) => Math.abs(value - target));
      expect(distances[nearestRow(x, target)]).toBe(Math.min(...distances));
    }
  });

  it("takes the earlier of two equally near rows, and -1 where there is none", () => {
    expect(nearestRow([0, 10], 5)).toBe(0);
    expect(nearestRow([], 5)).toBe(-1);
  });
});

describe("interpolated", () => {
  it("lies on the line between its neighbours, and stays at the ends beyond them", () => {
    const [x, y] = [
      [0, 10, 10, 30],
      [5, 7, 9, 1],
    ];
    const at = [-4, 0, 2.5, 10, 20, 30, 99].map((target) => interpolated(x, y, target));
    expect([at[0], at[1], at[2], at[4], at[5], at[6]]).toEqual([5, 5, 5.5, 5, 1, 1]);
    expect([7, 9]).toContain(at[3]);
    expect(interpolated([3], [4], 100)).toBe(4);
    expect(interpolated([], [], 1)).toBeNaN();
  });
});

describe("drawable", () => {
  it("breaks the line where a value is not finite", () => {
    expect(drawable([1, NaN, Infinity, -Infinity, 2], null)).toEqual([1, null, null, null, 2]);
  });

  it("lays what a log axis cannot show on its floor", () => {
    expect(drawable([5, 0, -3, NaN], 0.1)).toEqual([5, 0.1, 0.1, null]);
  });
});

describe("gaps", () => {
  it("joins neighbours and names the gap after its first row", () => {
    expect(gaps([0, 1, 2, 3, 4, 5], [1, NaN, Infinity, 2, -Infinity, 3])).toEqual([
      { kind: "NaN", from: 1, to: 2 },
      { kind: "-Inf", from: 4, to: 4 },
    ]);
  });

  it("reaches from the first to the last row when nothing is finite", () => {
    expect(gaps([7, 8, 9], [Infinity, NaN, NaN])).toEqual([{ kind: "+Inf", from: 7, to: 9 }]);
    expect(gaps([7, 8], [1, 2])).toEqual([]);
  });
});

describe("sortingOrder", () => {
  it("is null for what ascends already, repeats included", () => {
    expect(sortingOrder([1, 1, 2])).toBeNull();
    expect(sortingOrder([])).toBeNull();
  });

  it("sorts what a clock that was set back left behind", () => {
    const x = Float64Array.of(3, 1, 2);
    const order = sortingOrder(x);
    expect(order && [...reordered(x, order)]).toEqual([1, 2, 3]);
  });
});
