import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { lossChart } from "../../src/state/chart_data";
import {
  cursorStep,
  hover,
  openAlerts,
  pinCursor,
  pinX,
  pointAtStep,
  stepCursor,
} from "../../src/state/cursor";
import { applySettings } from "../../src/state/settings";
import { cursor, pinnedStep, runs, series, setAxis, zoom } from "../../src/state/signals";
import { alert, lines, run } from "./fixtures";

const ALERT = alert(50, { start: 5, peak: 9, peak_step: 12 });

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  runs.value = [run("a", { alerts: [ALERT] })];
  const norms = { norm_before: [9, 3, 1, 1], norm_after: [1, 1, 1, 1] };
  series.value = new Map([["a", lines("a", { loss: [4, 3, NaN, 2], ...norms })]]);
});

describe("cursor", () => {
  it("stands on whole steps", () => {
    hover("loss", 0.304);
    expect([cursor.value?.x, cursorStep.value]).toEqual([30, 30]);
    hover("loss", null);
    expect(cursorStep.value).toBeNull();
  });

  it("knows the step off the step axis", () => {
    setAxis("relative");
    hover("loss", 0.19);
    expect(cursorStep.value).toBe(20);
  });

  it("stands on the very step that a chart of steps points at, whatever the axis", () => {
    setAxis("relative");
    for (const step of [20, 23, 27]) {
      pointAtStep("map", step);
      expect(cursorStep.value).toBe(step);
    }
    expect(cursor.value?.x).toBe(15);
    pointAtStep("map", null);
    expect(cursorStep.value).toBeNull();
  });

  it("is pinned by step, and the pin moves along when the axis changes", () => {
    hover("loss", 0.3);
    pinCursor();
    expect([pinnedStep.value, pinX.value]).toEqual([30, 30]);
    setAxis("relative");
    expect(pinX.value).toBe(15);
  });

  it("steps with the keyboard and stops at the ends", () => {
    hover("loss", 0.99);
    stepCursor("loss", 10);
    expect(cursor.value?.x).toBe(100);
    stepCursor("loss", -1);
    expect(cursor.value?.x).toBeLessThan(100);
  });

  it("opens alerts by zooming to them and pinning their step", () => {
    openAlerts(lossChart.value.alerts);
    expect(pinnedStep.value).toBe(50);
    expect(zoom.value?.[0]).toBeLessThan(50);
    expect(zoom.value?.[1]).toBeGreaterThan(50);
  });
});
