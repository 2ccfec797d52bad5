import { beforeEach, describe, expect, it } from "vitest";
import {
  alertList,
  blame,
  blameChart,
  blameRow,
  flight,
  notInTimeline,
  timelineFailure,
} from "../../src/state/alerts";
import { openAlerts } from "../../src/state/cursor";
import { cursor, runs, setAxis, theme, zoomTo } from "../../src/state/signals";
import { DARK, LIGHT } from "../../src/theme";
import { contrast, mixed, parsed } from "../colour_arithmetic";
import { alert, LONG, run, showAlerts } from "./fixtures";

beforeEach(showAlerts);

describe("the timeline", () => {
  const FLIGHT = {
    run: "a",
    step: 500,
    parameters: ["b", "w"],
    left_out: 3,
    steps: Float64Array.from({ length: 20 }, (_, i) => 490 + i),
    norms: [
      new Float32Array(20).fill(2),
      Float32Array.from({ length: 20 }, (_, i) => (i < 8 ? 1 : 10)),
    ],
  };

  beforeEach(() => {
    openAlerts(alertList.value.filter((one) => one.step === 500));
    flight.value = FLIGHT;
  });

  it("has those that departed first, over what they were", () => {
    expect(blame.value?.map((line) => [line.name, line.lead])).toEqual([
      ["w", 2],
      ["b", null],
    ]);
    const w = blameChart.value?.lines.find((line) => line.run === "w");
    expect([w?.y[0], w?.y[19]]).toEqual([1, 10]);
    expect(blameChart.value?.alerts.map((one) => one.x)).toEqual([500]);
    expect(notInTimeline.value).toBe(3);
  });

  it("tells all apart where nobody departed, else those that did", () => {
    const colours = (): number => new Set(blame.value?.map((line) => line.colour)).size;
    expect(blame.value?.map((line) => line.stands_out)).toEqual([true, false]);
    runs.value = [run("a", { ...LONG, alerts: [alert(500, { departures: [] })] })];
    expect(blame.value?.map((line) => line.stands_out)).toEqual([true, true]);
    expect(colours()).toBe(2);
  });

  it.each([LIGHT, DARK])("has lines that are seen on a card, those for comparison too", (look) => {
    theme.value = look;
    const card = parsed(look.card);
    const drawn = blameChart.value?.lines ?? [];
    expect(new Set(drawn.map(({ opacity }) => opacity)).size).toBe(2);
    for (const { colour, opacity } of drawn) {
      expect(contrast(mixed(parsed(colour), opacity, card), card)).toBeGreaterThan(3);
    }
  });

  it("reads norms at the cursor, and none where that is elsewhere", () => {
    expect(blameRow.value).toBeNull();
    cursor.value = { x: 495, chart: "loss" };
    expect(blameRow.value).toBe(5);
    cursor.value = { x: 800, chart: "loss" };
    expect(blameRow.value).toBeNull();
  });

  it("shows the part of its steps that the other charts show, and else all of them", () => {
    const shown = (range: readonly [number, number] | null) => {
      zoomTo(range);
      return blameChart.value?.xRange;
    };
    const whole = shown(null);
    expect(whole).toEqual([490, 509]);
    expect(shown([495, 505])).toEqual([495, 505]);
    expect(shown([480, 500])).toEqual([490, 500]);
    for (const range of [
      [100, 200],
      [400, 700],
      [508, 600],
    ] as const) {
      expect(shown(range)).toBe(whole);
    }
    setAxis("relative");
    expect(shown([495 / 2, 505 / 2])).toBe(whole);
  });

  it("belongs to its alert alone", () => {
    openAlerts(alertList.value.filter((one) => one.step === 600));
    expect(blame.value).toBeNull();
    expect(timelineFailure.value).toBeNull(); // still to be read
    flight.value = { run: "b", step: 600, error: "kept around the first alerts only" };
    expect(timelineFailure.value).toContain("first alerts");
    openAlerts(alertList.value.filter((one) => one.step === 900));
    expect(timelineFailure.value).toContain("finding");
  });
});
