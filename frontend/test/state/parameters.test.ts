import { beforeEach, describe, expect, it } from "vitest";
import type { ParameterWindows } from "../../src/api_parameters";
import { BROKEN } from "../../src/model/heatmap";
import { DEFAULTS } from "../../src/model/link";
import { MODEL_ORDER } from "../../src/model/parameter_table";
import { cursorStep, pointAtStep } from "../../src/state/cursor";
import {
  hasBroken,
  heatmap,
  heatRange,
  heatReadout,
  heatRow,
  parameterSearch,
  parameterSort,
  pick,
  pickedChart,
  shownRows,
  windows,
} from "../../src/state/parameters";
import { applySettings, settings } from "../../src/state/settings";
import {
  cursor,
  parameter,
  pickedParameter,
  runs,
  series,
  setAxis,
  setFocus,
  zoomTo,
} from "../../src/state/signals";
import { windowTable } from "../window_table";
import { lines, run } from "./fixtures";

/** Windows of run a: parameter b grows, w breaks. */
const ANSWER = {
  ...windowTable({
    steps: [16, 16, 16],
    norms: [
      [3, 3, NaN],
      [1, 2, 8],
    ],
    nonfinite: [
      [0, 0, 16],
      [0, 0, 0],
    ],
    names: ["w", "b"],
  }),
  run: "a",
  left_out: 0,
} as unknown as ParameterWindows;
const FLOATS = {
  norm_before_mean: Float32Array.from(ANSWER.norm_before_mean),
  norm_before_max: Float32Array.from(ANSWER.norm_before_max),
};

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  heatRow.value = null;
  parameterSearch.value = "";
  parameterSort.value = MODEL_ORDER;
  runs.value = [run("a"), run("b", { parameters: ["other"] })];
  series.value = new Map([["a", lines("a", { norm_before: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] })]]);
  windows.value = { answer: { ...ANSWER, ...FLOATS }, request: "" };
});

describe("the heatmap", () => {
  it("has the rows of the table, sorted and searched with it", () => {
    expect(heatmap.value?.names).toEqual(["w", "b"]);
    parameterSort.value = { key: "norm_max", descending: true };
    expect(heatmap.value).toMatchObject({ names: ["b", "w"], places: [1, 0] });
    parameterSearch.value = "w";
    expect(heatmap.value?.names).toEqual(["w"]);
    parameterSearch.value = "nobody";
    expect(heatmap.value?.names).toEqual([]);
  });

  it("marks what has no finite norm", () => {
    expect(heatmap.value?.levels[2]).toBe(BROKEN);
    expect(hasBroken.value).toBe(true);
  });

  it("is there for the focused run alone", () => {
    setFocus("b");
    expect(heatmap.value).toBeNull();
    expect(shownRows.value).toEqual([]);
  });

  it("shows the steps that other charts show, whatever they measure", () => {
    expect(heatRange.value).toEqual([0, 100]);
    zoomTo([20, 60]);
    expect(heatRange.value).toEqual([20, 60]);
    setAxis("relative");
    expect(heatRange.value).toEqual([0, 100]);
    zoomTo([10, 30]); // seconds, two steps in each
    expect(heatRange.value).toEqual([20, 60]);
  });
});

describe("the cursor", () => {
  it("stands on steps of the focused run on every axis", () => {
    for (const axis of ["step", "relative", "wall_time"] as const) {
      setAxis(axis);
      pointAtStep("parameters", 40);
      expect(cursorStep.value).toBe(40);
    }
  });

  it("says what is under it in the row that is pointed at", () => {
    heatRow.value = 1;
    pointAtStep("parameters", 20);
    expect(heatReadout.value).toMatchObject({ name: "b", title: "steps 16–31" });
    pointAtStep("parameters", 60);
    expect(heatReadout.value?.title).toBe("no complete window here");
    cursor.value = { x: 20, chart: "loss" };
    expect(heatReadout.value).toBeNull();
  });
});

describe("a picked parameter", () => {
  it("is in the link, and picked again it is let go", () => {
    pick("b");
    expect(settings.value.parameter).toBe("b");
    expect(heatmap.value?.picked).toBe(1);
    pick("b");
    expect(parameter.value).toBeNull();
  });

  it("does not count where the run shown has none of that name", () => {
    parameter.value = "other";
    expect(pickedParameter.value).toBeNull();
    expect(pickedChart.value).toBeNull();
  });

  it("has a chart of its norm over the windows", () => {
    pick("w");
    const chart = pickedChart.value;
    expect([...(chart?.lines[0]?.x ?? [])]).toEqual([7.5, 23.5, 39.5]);
    expect([...(chart?.lines[0]?.y ?? [])]).toEqual([3, 3, NaN]);
    expect(chart?.gaps).toMatchObject([{ kind: "NaN", from: 39.5 }]);
  });
});
