import { describe, expect, it } from "vitest";
import { LEVELS, ramp } from "../../src/model/heat_colours";
import {
  amount,
  amounts,
  BLANK,
  BROKEN,
  cellWords,
  heatScale,
  levels,
  QUANTITIES,
  rowHeight,
  windowAt,
} from "../../src/model/heatmap";
import { randomNumbers } from "../random";
import { windowTable } from "../window_table";

/** Two parameters over three windows; in the last one the second has no finite norm. */
const TABLE = windowTable({
  steps: [16, 16, 8],
  norms: [
    [3, 1, 0],
    [4, 0, NaN],
  ],
  clipped: [
    [4, 16, 0],
    [0, 8, 0],
  ],
  nonfinite: [
    [0, 8, 0],
    [0, 0, 8],
  ],
});

describe("amount", () => {
  it("is a share of the squared norm, and shares of what is finite sum to one", () => {
    expect(amount(TABLE, "share", 0, 0)).toBeCloseTo(0.36);
    expect(amount(TABLE, "share", 1, 0)).toBeCloseTo(0.64);
    const random = randomNumbers(3);
    const norms = Array.from({ length: 5 }, () => [random(), 9 * random()]);
    const table = windowTable({ steps: [4, 4], norms });
    for (const w of [0, 1]) {
      const sum = norms.reduce((total, _, p) => total + amount(table, "share", p, w), 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });

  it("is NaN where nothing moved or nothing was finite", () => {
    expect(amount(TABLE, "share", 0, 2)).toBeNaN();
    expect(amount(TABLE, "norm", 0, 2)).toBe(0);
    for (const quantity of ["share", "norm", "clip_rate"] as const) {
      expect(amount(TABLE, quantity, 1, 2)).toBeNaN();
    }
    expect(amount(TABLE, "nonfinite", 1, 2)).toBe(1);
  });

  it("counts as clipped what is clipped of the steps with a finite norm, and never more than all", () => {
    expect(amount(TABLE, "clip_rate", 0, 0)).toBe(0.25);
    expect(amount(TABLE, "clip_rate", 1, 1)).toBe(0.5);
    expect(amount(TABLE, "clip_rate", 0, 1)).toBe(1);
  });

  it("is the same cell by cell and all together", () => {
    for (const quantity of QUANTITIES) {
      const all = amounts(TABLE, quantity);
      expect([...all]).toEqual(
        [0, 1].flatMap((p) => [0, 1, 2].map((w) => amount(TABLE, quantity, p, w))),
      );
    }
  });
});

describe("heatScale", () => {
  const plain = (tick: { readonly label: string }): string => tick.label.replace("\u202f", " ");
  const random = randomNumbers(7);
  const values = Float64Array.from({ length: 200 }, () => 10 ** (6 * random() - 3));

  it("rises with the amount from 0 to 1", () => {
    for (const quantity of QUANTITIES) {
      const { position } = heatScale(quantity, values);
      const at = [...values].sort((a, b) => a - b).map(position);
      expect(at).toEqual([...at].sort((a, b) => a - b));
      expect(Math.min(...at)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...at)).toBeLessThanOrEqual(1);
    }
  });

  it("has ticks where their amounts are", () => {
    expect(heatScale("clip_rate", values).ticks.map(plain)).toEqual(["0 %", "50 %", "100 %"]);
    const shares = heatScale("share", Float64Array.of(0, 0.1, 0.4));
    expect(shares.ticks.map(plain)).toEqual(["0 %", "10 %", "40 %"]);
    expect(shares.position(0.1)).toBeCloseTo(0.5);
    const norms = heatScale("norm", Float64Array.of(0, 0.01, NaN, 100));
    expect(norms.position(1)).toBeCloseTo(0.5);
    expect(norms.ticks.map((tick) => tick.label)).toEqual(["0.01", "1", "100"]);
    expect(norms.position(0)).toBe(0);
  });

  it("does with equal amounts, with none, and with nothing but zeros", () => {
    for (const given of [[2, 2], [], [NaN], [0, 0]]) {
      for (const quantity of QUANTITIES) {
        const { position, ticks } = heatScale(quantity, Float64Array.from(given));
        expect(position(given[0] ?? 0) >= 0 || Number.isNaN(given[0])).toBe(true);
        expect(ticks.length).toBeGreaterThan(0);
      }
    }
  });
});

it("levels tell what is broken from what is blank", () => {
  const shares = amounts(TABLE, "share");
  const found = levels(TABLE, shares, heatScale("share", shares));
  expect([...found]).toEqual([63 * 0.6, LEVELS - 1, BLANK, 63 * 0.8, 0, BROKEN].map(Math.round));
});

it("windowAt finds the window of every step and none in a gap", () => {
  const table = { ...TABLE, first_step: [0, 16, 40], last_step: [15, 31, 47] };
  for (let step = -3; step < 52; step++) {
    const wanted = step < 0 || step > 47 ? -1 : step < 16 ? 0 : step < 32 ? 1 : step < 40 ? -1 : 2;
    expect(windowAt(table, step)).toBe(wanted);
  }
  expect(windowAt({ ...table, windows: 0 }, 5)).toBe(-1);
});

it("rows fill the room while they can", () => {
  expect([1, 8, 20, 500].map((rows) => rowHeight(rows, 320))).toEqual([24, 24, 16, 14]);
  expect(rowHeight(0, 320)).toBe(24);
});

it("a cell says all there is to say", () => {
  expect(cellWords(TABLE, 0, 0)).toEqual({
    title: "steps 0–15",
    lines: [
      "36\u202f% of the squared norm",
      "norm 3, at most 3",
      "after clipping 3",
      "clipped in 4 of 16",
    ],
  });
  expect(cellWords(TABLE, 1, 2).lines).toEqual([
    "no finite norm",
    "clipped in 0 of 8",
    "not finite in 8 of 8",
  ]);
});

describe("ramp", () => {
  const luminance = (colour: string): number => {
    const [r, g, b] = (colour.match(/\d+/g) ?? []).map((c) => {
      const share = Number(c) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  it("goes in one direction in lightness, so that it reads without colour", () => {
    for (const dark of [false, true]) {
      const steps = ramp(dark).map(luminance);
      const sign = dark ? 1 : -1;
      expect(steps).toHaveLength(LEVELS);
      steps
        .slice(1)
        .forEach((step, i) => expect(sign * (step - (steps[i] as number))).toBeGreaterThan(0));
      const [low, high] = [Math.min(...steps), Math.max(...steps)];
      expect((high + 0.05) / (low + 0.05)).toBeGreaterThan(10);
    }
  });
});
