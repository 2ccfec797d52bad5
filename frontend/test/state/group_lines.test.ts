import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { lossChart, normChart } from "../../src/state/chart_data";
import { hover } from "../../src/state/cursor";
import { clipRateChart, throttleChart } from "../../src/state/rate_charts";
import { readout } from "../../src/state/readout";
import { applySettings } from "../../src/state/settings";
import {
  colours,
  cursor,
  groupedRuns,
  grouping,
  runs,
  series,
  smoothing,
} from "../../src/state/signals";
import { lines, run } from "./fixtures";

const NONE = { kind: "none", threshold: null, low: null, high: null, text: "" } as const;

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  runs.value = [run("a/seed0"), run("a/seed1"), run("b/seed0"), run("free", { rule: NONE })];
  const both = (name: string, loss: number[], norm: number[]) =>
    [
      name,
      lines(name, {
        loss,
        norm_before: norm,
        norm_after: norm,
        clip_rate: loss.map((_, i) => i / 10),
        throttle: loss.map((_, i) => i / 10),
      }),
    ] as const;
  series.value = new Map([
    both("a/seed0", [4, 2, NaN, 2], [1, 1, 1, 1]),
    both("a/seed1", [2, 2, NaN, 4], [4, 4, 4, 4]),
    both("b/seed0", [9, 9, 9, 9], [9, 9, 9, 9]),
    both("free", [1, 1, 1, 1], [1, 1, 1, 1]),
  ]);
});

describe("grouped runs", () => {
  beforeEach(() => (grouping.value = "seed\\d+"));

  it("are drawn as one mean line each, with a band between their extremes", () => {
    const { lines: drawn, bands } = lossChart.value;
    expect(drawn.map((line) => line.run)).toEqual(["a", "b", "free"]);
    expect([...(drawn[0]?.y ?? [])]).toEqual([3, 2, NaN, 3]);
    expect([...(bands[0]?.low ?? [])]).toEqual([2, 2, NaN, 2]);
    expect([...(bands[0]?.high ?? [])]).toEqual([4, 2, NaN, 4]);
  });

  it("are averaged by ratio on the log axis of norms, and only after clipping", () => {
    const { lines: drawn } = normChart.value;
    expect(drawn).toHaveLength(3);
    expect(drawn[0]?.y[0]).toBeCloseTo(2);
  });

  it("leave runs that do not clip out of what is about clipping", () => {
    expect(clipRateChart.value.lines.map((line) => line.run)).toEqual(["a", "b"]);
    expect(throttleChart.value.lines.map((line) => line.run)).toEqual(["a", "b"]);
  });

  it("are smoothed after they are averaged, not across what is not finite", () => {
    smoothing.value = 0.9;
    expect(lossChart.value.lines[3]?.y[2]).toBeNaN();
    expect(lossChart.value.lines[3]?.y[3]).toBe(3);
  });

  it("have their mean as it is faintly behind the smoothed one", () => {
    for (const chart of [lossChart, normChart, clipRateChart, throttleChart]) {
      const means = chart.value.lines;
      smoothing.value = 0.9;
      const drawn = chart.value.lines;
      smoothing.value = 0;
      const [raw, smoothed] = [drawn.slice(0, means.length), drawn.slice(means.length)];
      expect(raw.map(({ run, y }) => [run, y])).toEqual(means.map(({ run, y }) => [run, y]));
      expect(smoothed.map(({ run }) => run)).toEqual(means.map(({ run }) => run));
      expect(raw.every(({ opacity, dotted }) => opacity < 0.5 && !dotted)).toBe(true);
      expect(smoothed.every(({ opacity, dotted }) => opacity === 1 && dotted)).toBe(true);
    }
  });

  it("share a colour, and get their own back", () => {
    const grouped = colours.value;
    expect(grouped.get("a/seed0")).toBe(grouped.get("a/seed1"));
    expect(grouped.get("a/seed0")).not.toBe(grouped.get("b/seed0"));
    grouping.value = "";
    const own = new Map(colours.value);
    grouping.value = "seed";
    void colours.value;
    grouping.value = "";
    expect(new Map(colours.value)).toEqual(own);
    expect(own.get("a/seed0")).not.toBe(own.get("a/seed1"));
  });

  it("are read at the cursor with their extremes and their number", () => {
    hover("loss", 0);
    expect(readout.value?.shown).toMatchObject([
      { run: "b", text: "9", detail: "9–9 · 1 of 1 run" },
      { run: "a", text: "3", detail: "2–4 · 2 of 2 runs" },
      { run: "free", text: "1" },
    ]);
    hover("clip-rate", 0.1);
    expect(readout.value?.shown.map((row) => row.run)).toEqual(["a", "b"]);
  });
});

it("runs stand for themselves without a pattern and with half a one", () => {
  for (const pattern of ["", "(seed"]) {
    grouping.value = pattern;
    expect(groupedRuns.value).toBeNull();
    expect(lossChart.value.lines).toHaveLength(4);
  }
});
