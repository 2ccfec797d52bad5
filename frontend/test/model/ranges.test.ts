import { expect, it } from "vitest";
import {
  extent,
  padded,
  prefersLog,
  readableExtent,
  within,
  zoomed,
  mostExtent,
} from "../../src/model/ranges";
import { randomNumbers } from "../random";

const random = randomNumbers(1);

it("extent ignores what is not finite, and on request what is not positive", () => {
  expect(
    extent([
      [NaN, 3],
      [Infinity, -2, 0],
    ]),
  ).toEqual([-2, 3]);
  expect(
    extent(
      [
        [NaN, 3],
        [Infinity, -2, 0],
      ],
      true,
    ),
  ).toEqual([3, 3]);
  expect(extent([[NaN], []])).toBeNull();
});

it("padded holds the range strictly inside, also when it is one value", () => {
  for (const range of [
    [1, 2],
    [5, 5],
    [0, 0],
    [-3, -3],
    [1e-300, 1e300],
  ] as const) {
    const [low, high] = padded(range, false);
    expect(low).toBeLessThan(range[0]);
    expect(high).toBeGreaterThan(range[1]);
  }
  const [low, high] = padded([5, 5], true);
  expect(low).toBeGreaterThan(0);
  expect(low).toBeLessThan(5);
  expect(high).toBeGreaterThan(5);
  expect(padded(null, true)[0]).toBeGreaterThan(0);
});

it("a log axis is preferred for positive values over more than a decade", () => {
  expect(prefersLog([0.1, 5])).toBe(true);
  expect(prefersLog([1, 5])).toBe(false);
  expect(prefersLog([0, 5000])).toBe(false);
  expect(prefersLog(null)).toBe(false);
});

it("within moves a range into bounds and keeps its size while it can", () => {
  expect(within([-5, 5], [0, 100])).toEqual([0, 10]);
  expect(within([95, 105], [0, 100])).toEqual([90, 100]);
  expect(within([-50, 500], [0, 100])).toEqual([0, 100]);
});

it("zoomed keeps the point under the pointer where it is", () => {
  const [low, high] = zoomed([0, 100], 25, 0.5);
  expect([low, high]).toEqual([12.5, 62.5]);
  expect((25 - low) / (high - low)).toBe(0.25);
});

it("readableExtent is the extent of ordinary values", () => {
  const ordinary = Array.from({ length: 100 }, (_, i) => 1 + Math.sin(i) / 2);
  expect(readableExtent([ordinary, [NaN, 3]], false)).toEqual(extent([ordinary, [3]]));
  expect(readableExtent([ordinary], true)).toEqual(extent([ordinary]));
  expect(readableExtent([[7]], false)).toEqual([7, 7]);
  expect(readableExtent([[-1, 0]], true)).toBeNull();
});

it("readableExtent lets a few values leave the chart rather than flatten the rest", () => {
  const ordinary = Array.from({ length: 300 }, (_, i) => 1 + (i % 10) / 10);
  const exploding = [...ordinary, 1e9, 1e20, 1e35];
  expect(readableExtent([exploding], true)?.[1]).toBeLessThan(1e5);
  expect(readableExtent([exploding], false)?.[1]).toBeLessThan(20);
  expect(readableExtent([[...ordinary, 1e-30]], true)?.[0]).toBeGreaterThan(1e-5);
});

it("readableExtent is that of all sorted values, also where it need not sort them", () => {
  for (let trial = 0; trial < 300; trial++) {
    const scale = 10 ** (6 * random());
    const values = Array.from({ length: 40 }, () => 1 + random() * (random() < 0.1 ? scale : 1));
    for (const logarithmic of [true, false]) {
      const [low, high] = readableExtent([values], logarithmic) ?? [NaN, NaN];
      const sorted = [...values].sort((a, b) => a - b) as [number, ...number[]];
      const [least, most] = [sorted[1] as number, sorted[38] as number];
      const spread = Math.max(most - least, most * 0.05);
      const [end, cut] = logarithmic
        ? [most * 1e4, most * 1e3]
        : [most + 1000 * spread, most + 10 * spread];
      const top = sorted[39] as number;
      expect([low, high]).toEqual([sorted[0], top > end ? cut : top]);
    }
  }
});

it("readableExtent shows far values when they are many", () => {
  const ordinary = Array.from({ length: 100 }, () => 1);
  const diverged = Array.from({ length: 30 }, () => 1e12);
  expect(readableExtent([ordinary, diverged], true)).toEqual([1, 1e12]);
});

it("mostExtent leaves out the outermost hundredth on either side, and on a log axis what is not positive", () => {
  const values = Array.from({ length: 201 }, (_, i) => i);
  expect(mostExtent([values.slice(0, 90), values.slice(90), [NaN, Infinity]], false)).toEqual([
    2, 198,
  ]);
  expect(mostExtent([[-5, 0, 3, 4]], true)).toEqual([3, 4]);
  expect(mostExtent([[7]], false)).toEqual([7, 7]);
  expect(mostExtent([[NaN]], false)).toBeNull();
});
