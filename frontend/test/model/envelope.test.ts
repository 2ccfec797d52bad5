import { describe, expect, it } from "vitest";
import { bandsOf, envelope } from "../../src/model/envelope";
import { randomNumbers } from "../random";

const random = randomNumbers(7);
const steps = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => i * 3);

/** What the server sends of values one a step: smallest, largest and first non-finite row of equal buckets. */
function reduced(values: readonly number[], buckets: number): [number[], number[]] {
  const kept = new Set([0, values.length - 1]);
  const length = values.length / buckets;
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.ceil(bucket * length);
    const part = values.slice(from, Math.ceil((bucket + 1) * length));
    const finite = part.filter(Number.isFinite);
    kept.add(from + part.indexOf(Math.min(...finite)));
    kept.add(from + part.indexOf(Math.max(...finite)));
  }
  const rows = [...kept].sort((a, b) => a - b);
  return [rows, rows.map((row) => values[row] as number)];
}

describe("envelope", () => {
  it("keeps the extremes, and has the middle between them", () => {
    for (const logarithmic of [false, true]) {
      for (let n = 1; n < 60; n++) {
        const y = Float64Array.from({ length: n }, () => Math.exp(6 * random() - 3));
        const { x, low, middle, high } = envelope(steps(n), y, logarithmic);
        expect(Math.min(...low)).toBe(Math.min(...y));
        expect(Math.max(...high)).toBe(Math.max(...y));
        middle.forEach((value, i) => {
          expect(value).toBeGreaterThanOrEqual(low[i] as number);
          expect(value).toBeLessThanOrEqual((high[i] as number) * (1 + 1e-12));
        });
        expect([x[0], x.at(-1)]).toEqual([0, (n - 1) * 3]);
        expect([...x]).toEqual([...x].sort((a, b) => a - b));
      }
    }
  });

  it("of six rows at a time has what sorting them gives, however many are equal", () => {
    for (let n = 6; n < 60; n++) {
      const y = Float64Array.from({ length: n }, () => Math.floor(5 * random()));
      const groups: number[][] = [];
      for (let i = 0; n - i >= 6; i += 6) {
        groups.push([...y.subarray(i, n - i < 12 ? n : i + 6)].sort((a, b) => a - b));
      }
      const { low, middle, high } = envelope(steps(n), y, false);
      const isOnlyGroup = groups.length === 1; // a point at either end
      const expected = isOnlyGroup ? [groups[0], groups[0]] : groups;
      expect([...low]).toEqual(expected.map((group) => group?.[0]));
      expect([...high]).toEqual(expected.map((group) => group?.at(-1)));
      const halfway = expected.map((group) => ((group?.[1] ?? NaN) + (group?.at(-2) ?? NaN)) / 2);
      expect([...middle]).toEqual(halfway);
    }
  });

  it("of noise around a constant is a wide band around an almost straight line", () => {
    const noise = Array.from({ length: 20_000 }, () => 1 + 0.1 * (random() - 0.5));
    const { low, middle, high } = envelope(...reduced(noise, 400), false);
    // Beside pairs of extremes, a series begins and ends with one row as it comes.
    expect(Math.min(...middle.slice(1, -1))).toBeGreaterThan(0.99);
    expect(Math.max(...middle.slice(1, -1))).toBeLessThan(1.01);
    expect(Math.max(...low)).toBeLessThan(0.97);
    expect(Math.min(...high)).toBeGreaterThan(1.03);
  });

  it("of noise has no needles, and a fall to zero on a log axis is one", () => {
    const noise = Array.from({ length: 20_000 }, () => Math.exp(0.1 * random()));
    expect(envelope(...reduced(noise, 400), true).needles.x).toHaveLength(0);
    noise[123] = 0;
    const { needles } = envelope(...reduced(noise, 400), true);
    expect([needles.x[1], needles.y[1], needles.x.length]).toEqual([123, 0, 3]);
  });

  it("shows one spike of one step in the band at its place and leaves the line where it was", () => {
    const values = Array.from({ length: 20_000 }, () => 1 + 0.1 * random());
    values[7777] = 1000;
    const { x, high, middle, needles } = envelope(...reduced(values, 400), false);
    expect([...needles.x]).toEqual([7777, 7777, 7777]);
    expect([...needles.y].slice(1)).toEqual([1000, NaN]);
    const top = high.indexOf(1000);
    expect(Math.abs((x[top] as number) - 7777)).toBeLessThan(2 * (20_000 / 400));
    expect(Math.max(...middle)).toBeLessThan(2);
  });

  it("breaks at every row that is not finite, and says what it was", () => {
    const y = [1, 2, NaN, 3, Infinity, -Infinity, 4, 5, 6, 7, 8, NaN];
    const { x, low, middle, high } = envelope(steps(y.length), y, false);
    for (const side of [low, middle, high]) {
      const broken = [...x].flatMap((at, i) => (Number.isFinite(side[i]) ? [] : [[at, side[i]]]));
      expect(broken).toEqual([
        [6, NaN],
        [12, Infinity],
        [15, -Infinity],
        [33, NaN],
      ]);
    }
    expect([...x].filter((_, i) => Number.isFinite(low[i]))).toEqual([0, 3, 9, 18, 30]);
  });

  it("has needles of both sides in the order of their places", () => {
    const values = Array.from({ length: 400 }, (_, i): number => (i % 2 === 0 ? 1 : 1.1));
    const out = new Map([
      [50, 90],
      [150, 0.01],
      [250, 80],
      [350, 0.02],
    ]);
    out.forEach((value, at) => (values[at] = value));
    const { needles } = envelope(Float64Array.from(values.keys()), values, true);
    expect([...needles.x].filter((_, i) => i % 3 === 1)).toEqual([...out.keys()]);
    expect([...needles.y].filter((_, i) => i % 3 === 1)).toEqual([...out.values()]);
  });

  it("takes the middle of a log axis by ratio, and by difference where a value is zero", () => {
    expect(envelope([0, 1], [1, 100], true).middle[0]).toBe(10);
    expect(envelope([0, 1], [0, 100], true).middle[0]).toBe(50);
    expect(envelope([0, 1], [1, 100], false).middle[0]).toBe(50.5);
  });

  it("does not put a point into a pause", () => {
    const x = Array.from({ length: 42 }, (_, i) => (i < 22 ? i : i + 10_000));
    const found = envelope(x, x, false);
    expect([...found.x].filter((at) => at > 21 && at < 10_022)).toEqual([]);
    expect([...found.x]).toContain(21);
    expect([...found.x]).toContain(10_022);
  });

  it("of no rows is empty", () => {
    expect(envelope([], [], true).x).toHaveLength(0);
  });
});

it("bands grow fainter with their number, and each has its run's colour", () => {
  const one = envelope([0, 1], [1, 2], false);
  const many = (n: number) => new Map(Array.from({ length: n }, (_, i) => [`r${i}`, one]));
  const opacity = (n: number): number =>
    Number.parseInt(bandsOf(many(n), () => "#123456", false)[0]?.colour.slice(7) ?? "", 16);
  const two = bandsOf(many(2), ({ name }) => (name === "r1" ? "#00ff00" : "#ff0000"), true);
  expect(two.map((band) => band.colour.slice(0, 7))).toEqual(["#ff0000", "#00ff00"]);
  expect(opacity(20)).toBeLessThan(opacity(1) / 3);
  expect(opacity(20)).toBeGreaterThan(0);
});

it("few bands have edges, many have none", () => {
  const one = envelope([0, 1], [1, 2], false);
  const bands = (n: number) =>
    bandsOf(new Map(Array.from({ length: n }, (_, i) => [`r${i}`, one])), () => "#123456", false);
  expect(bands(8).every((band) => band.edge?.startsWith("#123456"))).toBe(true);
  expect(bands(9).some((band) => "edge" in band)).toBe(false);
});
