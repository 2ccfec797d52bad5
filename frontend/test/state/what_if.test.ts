import { readFileSync } from "node:fs";
import { beforeEach, expect, it } from "vitest";
import { whatIfArguments, type WhatIf } from "../../src/api_what_if";
import { DEFAULTS } from "../../src/model/link";
import { normChart } from "../../src/state/chart_data";
import { applySettings, settings } from "../../src/state/settings";
import { runs, series, setAxis, threshold, zoom } from "../../src/state/signals";
import { chosenLimit, shownLimit } from "../../src/state/norm_limits";
import {
  chooseThreshold,
  codeAt,
  codeChoice,
  ownThreshold,
  shownOutcome,
  shownThreshold,
  suggestions,
  thresholdRange,
  whatIf,
  whatIfAnswer,
  whatIfRange,
  zclipShown,
} from "../../src/state/what_if";
import { lines, run } from "./fixtures";

/** As the real server answered, recorded by the Python tests: for a threshold of 1.42. */
const ANSWER = JSON.parse(
  readFileSync(new URL("../../../tests/fixtures/http/what_if.json", import.meta.url), "utf8"),
) as WhatIf;

beforeEach(() => {
  applySettings(DEFAULTS);
  zclipShown.value = false;
  codeChoice.value = null;
  runs.value = [run("clipped"), run("other", { histogram_steps: 0, framework: "keras" })];
  series.value = new Map([
    ["clipped", lines("clipped", { norm_before: [1, 2, 3], norm_after: [1, 1, 1] })],
  ]);
  whatIf.value = { answer: ANSWER, request: "" };
});

it("the handle stands where a tenth of the steps is clipped until one is chosen", () => {
  const suggested = ANSWER.suggestions.find(({ share }) => share === 0.1);
  expect(shownThreshold.value).toBeCloseTo(suggested?.threshold as number, 1);
  expect(shownOutcome.value?.clip_rate).toBeCloseTo(0.1, 1);
  threshold.value = 1.42;
  expect(shownThreshold.value).toBe(1.42);
});

it("the server's own answer is shown where there is one, else the curve is read off", () => {
  threshold.value = 1.42;
  expect(shownOutcome.value).toBe(ANSWER.at);
  threshold.value = 1.43;
  const next = shownOutcome.value;
  expect(next?.clip_rate).toBeLessThan(ANSWER.at?.clip_rate as number);
  expect(next?.clip_rate).toBeGreaterThan((ANSWER.at?.clip_rate as number) - 0.05);
});

it("the axis stays where it is while the handle moves on it, and reaches a threshold of a link", () => {
  const range = thresholdRange.value;
  expect(range).not.toBeNull();
  threshold.value = range?.[1] as number;
  expect(thresholdRange.value).toEqual(range);
  threshold.value = 500;
  expect(thresholdRange.value?.[1]).toBeGreaterThan(500);
  expect(ownThreshold.value).toBe(1);
});

it("an answer for another run is not shown", () => {
  applySettings({ ...DEFAULTS, focus: "other" });
  expect(whatIfAnswer.value).toBeNull();
  expect(shownOutcome.value).toBeNull();
  expect(suggestions.value).toEqual([]);
});

it("steps in view are looked at, which seconds are not", () => {
  expect(whatIfRange.value).toBeNull();
  zoom.value = [10.5, 20.5];
  expect(whatIfRange.value).toEqual([11, 20]);
  expect(String(whatIfArguments({ run: "a&b", range: [11, 20], at: 1.5 }))).toBe(
    "run=a%26b&from=11&to=20&at=1.5",
  );
  setAxis("relative");
  zoom.value = [10.5, 20.5];
  expect(whatIfRange.value).toBeNull();
});

it("a chosen threshold is a limit on the norm chart, which does not move, and in the link", () => {
  expect(chosenLimit.value).toBeNull();
  const before = normChart.value;
  chooseThreshold(1.4186233);
  expect(chosenLimit.value).toEqual({ value: 1.42, label: "what if 1.42" });
  expect(normChart.value).toBe(before);
  expect(settings.value.threshold).toBe(1.42);
  chooseThreshold(0); // the bottom of a linear axis
  expect(settings.value.threshold).toBe(1.42);
});

it("the limits of ZClip are a line over the norms, on any axis", () => {
  const drawn = (): (typeof normChart.value.lines)[number] | undefined =>
    normChart.value.lines.find((line) => line.width === 1.2);
  expect(drawn()).toBeUndefined();
  zclipShown.value = true;
  expect([...(drawn()?.x ?? [])]).toEqual(ANSWER.zclip.steps);
  setAxis("relative");
  const x = drawn()?.x ?? new Float64Array();
  expect(x).toHaveLength(ANSWER.zclip.steps.length);
  expect([...x]).toEqual([...x].sort((a, b) => a - b));
});

it("code is for the framework of the run, or the one that was picked", () => {
  expect(codeAt(1.5)).toContain("clip_grad_norm_");
  applySettings({ ...DEFAULTS, focus: "other" });
  expect(codeAt(1.5)).toContain("global_clipnorm=1.5");
  codeChoice.value = "tensorflow";
  expect(codeAt(1.5)).toContain("clip_by_global_norm(gradients, 1.5)");
});

it("the line on the norm chart can be taken hold of before anything is chosen, and where it was chosen after", () => {
  expect(chosenLimit.value).toBeNull();
  expect(shownLimit.value).toMatchObject({ value: ownThreshold.value, resting: true });
  const rule = { ...ANSWER.rule, kind: "none", threshold: null } as const;
  whatIf.value = { answer: { ...ANSWER, rule, now: null }, request: "" };
  expect(shownLimit.value).toMatchObject({ value: shownThreshold.value, resting: true });
  threshold.value = 1.42;
  expect(shownLimit.value).toMatchObject({ value: 1.42, label: "what if 1.42" });
  expect(shownLimit.value?.resting).toBeUndefined();
  threshold.value = null;
  whatIf.value = null;
  expect(shownLimit.value).toBeNull();
});
