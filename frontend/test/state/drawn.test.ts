import { computed, effect } from "@preact/signals";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ChartData } from "../../src/model/chart";
import { DEFAULTS } from "../../src/model/link";
import { lossChart } from "../../src/state/chart_data";
import { Drawn } from "../../src/state/drawn";
import { applySettings } from "../../src/state/settings";
import { runs, series, theme, zoom } from "../../src/state/signals";
import { lines, run } from "./fixtures";

let worked = 0;
const counted = computed<ChartData>(() => {
  worked++;
  return lossChart.value;
});
let drawn: Drawn;
let asked = 0;
let stop: () => void;

beforeEach(() => {
  applySettings(DEFAULTS);
  runs.value = [run("a")];
  series.value = new Map([["a", lines("a", { loss: [1, 2, 3, 4] })]]);
  drawn = new Drawn("loss", counted);
  stop = effect(() => {
    if (drawn.isOutdated()) asked++;
  });
  [worked, asked] = [0, 0];
});
afterEach(() => {
  stop();
  drawn.leave();
});

it("works out a range when its turn comes, and once however often it changed before", () => {
  for (const end of [3, 2.5, 2]) zoom.value = [1, end];
  expect([asked > 0, worked]).toEqual([true, 0]);
  drawn.refresh();
  expect([drawn.isOutdated(), worked]).toEqual([false, 1]);
  expect(drawn.data.xRange).toEqual([1, 2]);
});

it("works out other lines when its turn comes, and once however often they changed before", () => {
  for (const last of [5, 6, 7]) losses(1, 2, 3, last);
  expect([asked > 0, worked]).toEqual([true, 0]);
  drawn.refresh();
  expect([drawn.isOutdated(), worked]).toEqual([false, 1]);
  expect([...(drawn.data.lines[0]?.y ?? [])]).toEqual([1, 2, 3, 7]);
});

it("asks for a turn when the theme changes, also after one for other lines", () => {
  losses(4, 3, 2, 1);
  drawn.refresh();
  asked = 0;
  theme.value = { ...theme.value };
  expect(asked).toBe(1);
});

function losses(...values: number[]): void {
  asked = 0;
  series.value = new Map([["a", lines("a", { loss: values })]]);
}

it("asks for a turn when there is other data, also after a turn and while it waits for one", () => {
  zoom.value = [1, 3];
  drawn.refresh();
  for (const values of [
    [5, 6, 7, 8],
    [0, 1, 0, 1],
  ]) {
    losses(...values);
    expect(asked).toBe(1);
    drawn.refresh();
    expect([...(drawn.data.lines[0]?.y ?? [])]).toEqual(values);
  }
  zoom.value = null;
  losses(0, 0, 0, 0);
  drawn.refresh();
  expect([...(drawn.data.lines[0]?.y ?? [])]).toEqual([0, 0, 0, 0]);
  losses(1, 1, 1, 1);
  expect(asked).toBe(1);
});

it("off the page, data is of the range that is shown now", () => {
  drawn.leave();
  zoom.value = [2, 3];
  expect(lossChart.value.xRange).toEqual([2, 3]);
});
