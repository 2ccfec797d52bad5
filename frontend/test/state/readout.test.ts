import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { lossChart } from "../../src/state/chart_data";
import { hover, stepCursor } from "../../src/state/cursor";
import { readout, spokenReadout } from "../../src/state/readout";
import { applySettings } from "../../src/state/settings";
import { cursor, plotWidth, runs, series, setAxis, smoothing } from "../../src/state/signals";
import { lines, run } from "./fixtures";

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  plotWidth.value = 1000;
  runs.value = [run("a", { nonfinite_steps: 1 }), run("b")];
  const norms = { norm_before: [9, 3, 1, 1], norm_after: [1, 1, 1, 1] };
  series.value = new Map([
    ["a", lines("a", { loss: [4, 3, NaN, 2], ...norms })],
    ["b", lines("b", { loss: [5, 5, 5, 5] })],
  ]);
});

describe("readout", () => {
  it("lists the runs that have a row there, largest first", () => {
    hover("loss", 0);
    expect(readout.value?.shown.map((row) => [row.run, row.text])).toEqual([
      ["b", "5"],
      ["a", "4"],
    ]);
    expect(readout.value?.title).toBe("Step 0");
  });

  it("shows a norm before and after, and NaN as what it is", () => {
    hover("norm", 0);
    expect(readout.value?.shown.map((row) => row.text)).toEqual(["9 → 1"]);
    hover("loss", 0.2);
    expect(readout.value?.shown[0]).toMatchObject({ run: "a", text: "NaN" });
  });

  it("pairs norms before and after only where they are of one step, and says the steps where they are not", () => {
    const [before, after] = [
      lines("a", { norm_before: [9, 3, 0.5, 0.5] }, 100),
      lines("a", { norm_after: [1, 1, 0.5, 0.4] }, 100),
    ];
    const moved = [...after.columns.values()].map((one) => {
      const step = one.step.map((at, i) => (i === 1 ? at + 2 : at)); // another step of the same stretch
      return [one.column, { ...one, step, wall_time: step.map((at) => 1000 + at / 2) }] as const;
    });
    const columns = new Map([...before.columns, ...moved]);
    series.value = new Map([["a", { ...before, columns }]]);
    const said = (x: number): readonly string[] => {
      cursor.value = { x, chart: "norm" };
      return readout.value?.shown.flatMap(({ text, detail }) => [text, detail]) ?? [];
    };
    expect(said(0)).toEqual(["9 → 1", ""]);
    expect(said(10)).toEqual(["3 before\n1 after", "step 10\nstep 12"]);
    expect(said(19)).toEqual(["0.5", "step 20"]);
    expect(said(30)).toEqual(["0.5 → 0.4", ""]);
    setAxis("relative");
    expect(said(15)).toEqual(["0.5 → 0.4", "step 30"]); // the title says a time
  });

  it("says the step of a value where the title names another, for lines of every kind", () => {
    const low = Float64Array.of(0.1, 0.2);
    const rates = lines("a", { clip_rate: [0.25, 0.5], throttle: [0.1, 0.2], loss: [4, 3] }, 50);
    const rate = rates.columns.get("clip_rate");
    if (!rate) throw new Error("made up above");
    const columns = new Map([
      ...rates.columns,
      ["clip_rate", { ...rate, low, high: low }] as const,
    ]);
    series.value = new Map([["a", { ...rates, columns }]]);
    for (const [chart, detail] of [
      ["loss", "step 10"],
      ["throttle", "step 10"],
      ["clip-rate", "20–20\u202f% · step 10"],
    ] as const) {
      cursor.value = { x: 8, chart };
      expect(readout.value?.shown[0]?.detail).toBe(detail);
      cursor.value = { x: 10, chart };
      expect(readout.value?.shown[0]?.detail).toBe(detail.replace(/( · )?step 10/, ""));
    }
  });

  it("has the dot of a smoothed line, and of a band, where it says the value is", () => {
    for (const left of [0, 100]) {
      const loss = Array.from({ length: 30 }, (_, i) => (i % 2) + 1);
      series.value = new Map([["a", lines("a", { loss }, left)]]);
      smoothing.value = 0.9;
      cursor.value = { x: 50, chart: "loss" };
      const dots = lossChart.value.lines.filter((line) => line.dotted);
      expect(dots).toHaveLength(1);
      const { x, y } = dots[0]?.said ?? { x: [], y: [] };
      expect([x[5], y[5], readout.value?.shown[0]?.value]).toEqual([50, 2, 2]);
    }
  });

  it("is said aloud where keys moved the cursor, and not under a pointer", () => {
    hover("norm", 0);
    expect(spokenReadout.value).toBe("");
    stepCursor("loss", 1);
    expect(spokenReadout.value).toBe("Step 1: b 5 step 0; a 4 step 0");
    hover("loss", 0.5);
    expect(spokenReadout.value).toBe("");
  });

  it("says where a run was resumed, on each axis, and in words near by", () => {
    runs.value = [run("a", { seams: [{ step: 20, wall_time: 1011 }] }), run("b")];
    expect(lossChart.value.seams).toMatchObject([{ run: "a", x: 20 }]);
    hover("loss", 0.2);
    expect(readout.value?.resumed).toEqual(["a"]);
    hover("loss", 0.4);
    expect(readout.value?.resumed).toEqual([]);
    setAxis("relative");
    expect(lossChart.value.seams).toMatchObject([{ run: "a", x: 11 }]);
  });

  it("names a run once that was resumed again and again at one place", () => {
    const seams = Array.from({ length: 3 }, () => ({ step: 20, wall_time: 1011 }));
    runs.value = [run("a", { seams }), run("b")];
    hover("loss", 0.2);
    expect(readout.value?.resumed).toEqual(["a"]);
  });
});
