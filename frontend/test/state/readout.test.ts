import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { lossChart } from "../../src/state/chart_data";
import { hover } from "../../src/state/cursor";
import { readout } from "../../src/state/readout";
import { applySettings } from "../../src/state/settings";
import { cursor, plotWidth, runs, series, setAxis } from "../../src/state/signals";
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
