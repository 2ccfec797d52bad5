import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { hover } from "../../src/state/cursor";
import { clipRateChart, someRunClips, throttleChart } from "../../src/state/rate_charts";
import { readout } from "../../src/state/readout";
import { applySettings } from "../../src/state/settings";
import { cursor, runs, series } from "../../src/state/signals";
import { lines, run } from "./fixtures";

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
});

it("the clip-rate chart always spans 0 to 100 %", () => {
  runs.value = [run("b")];
  series.value = new Map([["b", lines("b", { clip_rate: [0, 0.5, 1, 1] })]]);
  const [low, high] = clipRateChart.value.yRange;
  expect([low < 0, high > 1]).toEqual([true, true]);
  expect(clipRateChart.value.lines.map((line) => line.run)).toEqual(["b"]);
});

describe("throttle chart", () => {
  const NONE = { kind: "none", threshold: null, low: null, high: null, text: "" } as const;

  beforeEach(() => {
    runs.value = [run("a"), run("free", { rule: NONE })];
    series.value = new Map([
      ["a", lines("a", { throttle: [0, 0.25, NaN, 0.5] })],
      ["free", lines("free", { throttle: [NaN, NaN, NaN, NaN] })],
    ]);
  });

  it("spans 0 to 100 % and has a line for each run that clips", () => {
    expect(throttleChart.value.lines.map((line) => line.run)).toEqual(["a"]);
    const [low, high] = throttleChart.value.yRange;
    expect([low < 0 && low > -0.1, high > 1 && high < 1.1]).toEqual([true, true]);
  });

  it("reaches below zero for a rule that makes gradients longer", () => {
    series.value = new Map([["a", lines("a", { throttle: [-2, 0.5] })]]);
    expect(throttleChart.value.yRange[0]).toBeLessThan(-2);
  });

  it("is not there when no selected run clips", () => {
    expect(someRunClips.value).toBe(true);
    runs.value = [run("free", { rule: NONE })];
    expect(someRunClips.value).toBe(false);
  });

  it("is read at the cursor as a percentage, and not where it is not finite", () => {
    hover("throttle", 0.1);
    expect(readout.value?.shown).toMatchObject([{ run: "a", text: "25\u202f%" }]);
    hover("throttle", 0.2);
    expect(readout.value?.shown).toEqual([]);
  });
});
