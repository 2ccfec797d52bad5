import { beforeEach, describe, expect, it } from "vitest";
import { SLOTS } from "../../src/model/colours";
import { DEFAULTS } from "../../src/model/link";
import { normChart } from "../../src/state/chart_data";
import { hover } from "../../src/state/cursor";
import { thresholds } from "../../src/state/norm_limits";
import { readout } from "../../src/state/readout";
import { applySettings } from "../../src/state/settings";
import { cursor, runs, series, theme, zoomTo } from "../../src/state/signals";
import { DARK, LIGHT } from "../../src/theme";
import { contrast, mixed, parsed } from "../colour_arithmetic";
import { lines, run } from "./fixtures";

const NORMS = { norm_before: [9, 3, 1, 1], norm_after: [1, 1, 1, 1] };
const SCHEDULE = [4, 4, 2, 0.5];

function give(limits: Readonly<Record<string, readonly number[]>>): void {
  series.value = new Map(
    Object.entries(limits).map(([name, threshold]) => [name, lines(name, { ...NORMS, threshold })]),
  );
}

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  runs.value = [run("a", { last_step: 30 }), run("b", { last_step: 30 })];
});

describe("thresholds of runs", () => {
  it("that are the same throughout have one line for all that share it", () => {
    give({ a: [1, 1, 1, 1], b: [1, 1, 1, 1] });
    expect(normChart.value.thresholds).toMatchObject([{ value: 1, label: "threshold 1" }]);
    expect(normChart.value.thresholds[0]?.line).toBeUndefined();
  });

  it("that change are drawn as what they were at each step", () => {
    give({ a: SCHEDULE, b: [1, 1, 1, 1] });
    const [last, flat] = normChart.value.thresholds;
    expect([...(last?.line?.x ?? [])]).toEqual([0, 20, 20, 30, 30]);
    expect([...(last?.line?.y ?? [])]).toEqual([4, 4, 2, 2, 0.5]);
    expect(flat).toMatchObject({ value: 1, label: "threshold 1" });
    expect(last?.colour).not.toBe(flat?.colour);
  });

  it("that change alike share a line", () => {
    give({ a: SCHEDULE, b: SCHEDULE });
    expect(normChart.value.thresholds).toHaveLength(1);
  });

  it("are within the vertical range, wherever one zooms", () => {
    give({ a: [4, 4, 2, 0.01], b: [1, 1, 1, 1] });
    expect(normChart.value.yRange[0]).toBeLessThan(0.01);
    zoomTo([0, 15]);
    expect(normChart.value.yRange[0]).toBeGreaterThan(0.01);
    expect(normChart.value.yRange[1]).toBeGreaterThan(4);
  });

  it("are not worked out anew while one zooms", () => {
    give({ a: SCHEDULE, b: SCHEDULE });
    const [before, line] = [thresholds.value, normChart.value.thresholds[0]?.line];
    zoomTo([0, 15]);
    expect(normChart.value.xRange).toEqual([0, 15]);
    expect(thresholds.value).toBe(before);
    expect(normChart.value.thresholds[0]?.line).toBe(line);
  });

  it("are those of the newest record until their lines are there", () => {
    series.value = new Map();
    expect(normChart.value.thresholds).toMatchObject([{ value: 0.25 }]);
  });

  it("are on the chart for norms of all gradients only, and not where there are none", () => {
    const rule = { kind: "norm", threshold: 1, low: null, high: null, text: "" } as const;
    runs.value = [run("a", { rule }), run("b")];
    give({ a: SCHEDULE, b: [NaN, NaN, NaN, NaN] });
    expect(normChart.value.thresholds).toEqual([]);
  });

  it("are said at the cursor as they were at the step whose norm is", () => {
    give({ a: SCHEDULE, b: [NaN, 1, 1, 1] });
    const said = (share: number) => {
      hover("norm", share);
      return readout.value?.shown.map(({ detail }) => detail);
    };
    expect(said(0)).toEqual(["threshold 4", ""]);
    expect(said(14 / 30)).toEqual(["threshold 4 · step 10", "threshold 1 · step 10"]);
    expect(said(19 / 30)).toEqual(["threshold 2 · step 20", "threshold 1 · step 20"]);
    expect(said(20 / 30)).toEqual(["threshold 2", "threshold 1"]);
    expect(said(1)).toEqual(["threshold 0.5", "threshold 1"]);
  });
});

it.each([LIGHT, DARK])(
  "lines of norms are seen and labels of thresholds are read on a card",
  (look) => {
    theme.value = look;
    const names = Array.from({ length: SLOTS }, (_, i) => `run ${i}`);
    const rule = { kind: "global_norm", low: null, high: null, text: "" } as const;
    runs.value = names.map((name, i) => run(name, { rule: { ...rule, threshold: 1 + i } }));
    const norms = { norm_before: [9, 8], norm_after: [1, 1] };
    series.value = new Map(names.map((name) => [name, lines(name, norms)]));
    const card = parsed(look.card);
    expect(normChart.value.lines).toHaveLength(2 * SLOTS);
    for (const { colour, opacity } of normChart.value.lines) {
      const seen = mixed(parsed(colour), opacity, card);
      expect(contrast(seen, card), `${colour} ${opacity}`).toBeGreaterThan(3);
    }
    expect(new Set(normChart.value.thresholds.map(({ colour }) => colour)).size).toBe(SLOTS);
    for (const { labelColour } of normChart.value.thresholds) {
      expect(contrast(parsed(labelColour), card), labelColour).toBeGreaterThan(4.5);
    }
  },
);
