import { describe, expect, it } from "vitest";
import {
  alertKey,
  distanceWords,
  isSame,
  kindCounts,
  listedAlerts,
  type Listable,
} from "../../src/model/alerts";

function alert(step: number, kind: string, severity: Listable["severity"], run = "a"): Listable {
  return { run, step, wall_time: 1000 + step, kind, severity, finding: null };
}

const ALERTS = [
  alert(10, "spike", "warning"),
  alert(40, "lint", "info"),
  alert(20, "divergence", "error"),
  alert(30, "nonfinite", "error", "b"),
];

describe("listedAlerts", () => {
  const steps = (kind: string | null, order: "newest" | "severity"): number[] =>
    listedAlerts(ALERTS, kind, order).map((one) => one.step);

  it("are the newest first, or the worst first and then the newest", () => {
    expect(steps(null, "newest")).toEqual([40, 30, 20, 10]);
    expect(steps(null, "severity")).toEqual([30, 20, 10, 40]);
  });

  it("are newest by the clock: runs count their steps by themselves", () => {
    const late = { ...alert(1, "spike", "warning", "c"), wall_time: 9999 };
    expect(listedAlerts([...ALERTS, late], null, "newest")[0]).toBe(late);
  });

  it("can be of one kind, and are not sorted in place", () => {
    expect(steps("nonfinite", "newest")).toEqual([30]);
    expect(ALERTS.map((one) => one.step)).toEqual([10, 40, 20, 30]);
  });
});

it("kinds are counted in the order given, those that nobody knew of last", () => {
  const kinds = ["divergence", "spike", "vanishing"];
  expect(kindCounts([...ALERTS, alert(5, "spike", "info")], kinds)).toEqual([
    ["divergence", 1],
    ["spike", 2],
    ["lint", 1],
    ["nonfinite", 1],
  ]);
  expect(kindCounts([], kinds)).toEqual([]);
});

it("a key tells an alert from all others, findings at one step too", () => {
  const keys = [
    ...ALERTS,
    { ...alert(40, "lint", "info"), finding: "never_clipped" },
    { ...alert(40, "lint", "info"), finding: "not_covered" },
    alert(20, "divergence", "error", "b"),
  ].map(alertKey);
  keys.forEach((key, i) => {
    expect(keys.findIndex((other) => isSame(other, key))).toBe(i);
  });
  expect(isSame(null, keys[0] as (typeof keys)[0])).toBe(false);
});

it("distanceWords says how far a step is from an alert, or from its episode where it lies outside", () => {
  const lasting = { step: 615, start: 610, end: 640 };
  expect(
    [600, 609, 612, 615, 616, 639, 640, 650].map((step) => distanceWords(step, lasting)),
  ).toEqual([
    "10 steps before the selected alert began",
    "1 step before the selected alert began",
    "3 steps before the selected alert, while it lasted",
    "the step of the selected alert",
    "1 step after the selected alert, while it lasted",
    "24 steps after the selected alert, while it lasted",
    "1 step after the selected alert was over",
    "11 steps after the selected alert was over",
  ]);
  expect(distanceWords(9000, { ...lasting, end: null })).toContain("while it lasted");
  const moment = { step: 615, start: null, end: null };
  expect(distanceWords(614, moment)).toBe("1 step before the selected alert");
});
