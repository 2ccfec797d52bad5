import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/model/link";
import { lossChart, normChart } from "../../src/state/chart_data";
import { lossIsLog } from "../../src/state/points";
import { applySettings } from "../../src/state/settings";
import { cursor, runs, scales, series, setAxis, smoothing } from "../../src/state/signals";
import { alert, lines, run } from "./fixtures";

const ALERT = alert(50, { start: 5, peak: 9, peak_step: 12 });

const FINDING = {
  ...ALERT,
  step: 10,
  kind: "lint",
  severity: "info",
  parameter: null,
  departures: [],
  start: null,
  peak: null,
  peak_step: null,
  end: null,
  recovered: false,
  finding: "always_clipped",
  remedy: "Raise it.",
} as const;

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  runs.value = [run("a", { alerts: [FINDING, ALERT], nonfinite_steps: 1 }), run("b")];
  series.value = new Map([
    [
      "a",
      lines("a", { loss: [4, 3, NaN, 2], norm_before: [9, 3, 1, 1], norm_after: [1, 1, 1, 1] }),
    ],
    ["b", lines("b", { loss: [5, 5, 5, 5], clip_rate: [0, 0.5, 1, 1] })],
  ]);
});

describe("loss chart", () => {
  it("has a line per run and a gap where the loss is not finite", () => {
    expect(lossChart.value.lines.map((line) => line.run)).toEqual(["a", "b"]);
    expect(lossChart.value.gaps).toMatchObject([{ kind: "NaN", from: 20, to: 20 }]);
    expect(lossChart.value.note).toBeNull();
  });

  it("keeps the raw line faintly behind a smoothed one", () => {
    smoothing.value = 0.6;
    const { lines: drawn } = lossChart.value;
    expect(drawn).toHaveLength(4);
    expect(drawn[0]?.opacity).toBeLessThan(0.5);
    expect(drawn[2]?.y[2]).toBeNaN();
    expect(drawn[2]?.y[3]).toBe(2);
  });

  it("places rows and alerts on the axis that is picked", () => {
    setAxis("relative");
    expect([...(lossChart.value.lines[0]?.x ?? [])]).toEqual([0, 5, 10, 15]);
    expect(lossChart.value.alerts[0]?.x).toBe(25);
  });

  it("marks what happened, not what was found about the clipping", () => {
    expect(lossChart.value.alerts.map((alert) => alert.kind)).toEqual(["divergence"]);
  });

  it("says so when no run was given a loss, and does not mark that as NaN", () => {
    runs.value = [run("c")];
    series.value = new Map([["c", lines("c", { loss: [NaN, NaN] })]]);
    expect(lossChart.value.note).toContain("no loss recorded");
    expect(lossChart.value.gaps).toEqual([]);
  });

  it("is on a log axis when whole runs span a decade, whatever is zoomed to", () => {
    expect(lossIsLog.value).toBe(false);
    const wide = lines("a", { loss: [5, 4] });
    series.value = new Map([["a", { ...wide, lossRange: [0.1, 9] }]]);
    expect(lossIsLog.value).toBe(true);
    scales.value = { ...scales.value, loss: "linear" };
    expect(lossIsLog.value).toBe(false);
  });
});

describe("a loss that is a scalar", () => {
  const loss = {
    tag: "train/loss",
    points: 4,
    first_step: -10,
    last_step: 300,
    first_wall_time: 990,
    last_wall_time: 1100,
    choices: ["train/loss"],
  };

  it("is said under its computed markers, and under no others", () => {
    const alerts = [ALERT, { ...ALERT, step: 70, computed: true }];
    runs.value = [run("a", { alerts, loss })];
    const [own, computed] = lossChart.value.alerts;
    expect(own?.source).toBeNull();
    expect(computed?.source).toMatchObject({ tag: "train/loss", points: 4 });
  });

  it("has gaps where it is not finite throughout, since it was given", () => {
    runs.value = [run("c", { loss })];
    series.value = new Map([["c", lines("c", { loss: [NaN, NaN] })]]);
    expect(lossChart.value.gaps).toHaveLength(1);
    expect(lossChart.value.note).toBe("nothing finite here");
  });

  it("leaves the other charts without a line where nothing else was recorded", () => {
    runs.value = [run("c", { recorded: false, loss })];
    series.value = new Map([["c", lines("c", { loss: [3, 2], norm_before: [], norm_after: [] })]]);
    expect(lossChart.value.lines).toHaveLength(1);
    expect(normChart.value.gaps).toEqual([]);
    expect(normChart.value.lines.flatMap((line) => [...line.x])).toEqual([]);
  });
});

describe("norm chart", () => {
  it("keeps both raw lines faintly behind the smoothed ones", () => {
    smoothing.value = 0.6;
    const faint = normChart.value.lines.filter(({ opacity }) => opacity < 0.5);
    expect(faint.map(({ y }) => [...y])).toEqual([
      [9, 3, 1, 1],
      [1, 1, 1, 1],
    ]);
    const [before] = normChart.value.lines.filter(({ dash }) => dash.length > 0);
    expect(before?.y[1]).toBeGreaterThan(3);
  });

  it("draws one line for a threshold that runs share", () => {
    expect(normChart.value.thresholds).toMatchObject([{ value: 0.25, label: "threshold 0.25" }]);
    expect(normChart.value.yRange[0]).toBeLessThan(0.25);
  });

  it("draws no threshold that is not one of the global norm", () => {
    runs.value = [
      run("a", { rule: { kind: "value", threshold: 0.05, low: -0.05, high: 0.05, text: "" } }),
    ];
    expect(normChart.value.thresholds).toEqual([]);
  });
});

describe("a reduced line", () => {
  const zigzag: number[] = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1 : 3));
  const before = zigzag.with(11, NaN).with(20, 900);

  beforeEach(() => {
    runs.value = [run("a", { last_step: 390 })];
    const columns = { loss: zigzag, norm_before: before, norm_after: zigzag };
    series.value = new Map([["a", lines("a", columns, 1000)]]);
  });

  it("is a band with a line through its middle", () => {
    const [line] = lossChart.value.lines;
    expect(new Set(line?.y)).toEqual(new Set([2]));
    expect(lossChart.value.bands).toHaveLength(1);
    expect(new Set(lossChart.value.bands[0]?.low)).toEqual(new Set([1]));
    expect(new Set(lossChart.value.bands[0]?.high)).toEqual(new Set([3]));
    expect(lossChart.value.yRange[1]).toBeGreaterThan(3);
  });

  it("hides neither a gap nor a spike, and its smoothed line stops at the gap", () => {
    smoothing.value = 0.9;
    const { lines: drawn, bands, gaps, yRange } = normChart.value;
    expect(gaps).toMatchObject([{ kind: "NaN", from: 110, to: 110 }]);
    expect(Math.max(...(bands[0]?.high.filter(Number.isFinite) ?? []))).toBe(900);
    expect(yRange[1]).toBeGreaterThan(900);
    const [needle, middle] = drawn;
    expect([...(needle?.x ?? [])]).toEqual([200, 200, 200]);
    expect([...(middle?.x ?? [])][middle?.y.findIndex(Number.isNaN) ?? 0]).toBe(110);
  });

  it("has its band behind every smoothed line, in place of the raw one", () => {
    smoothing.value = 0.9;
    for (const { lines: drawn, bands } of [lossChart.value, normChart.value]) {
      expect(drawn.every(({ opacity }) => opacity > 0.5)).toBe(true);
      const smoothed = drawn.filter(({ x }) => x.length > 3); // others are needles
      expect(bands).toHaveLength(smoothed.length);
      smoothed.forEach((line, i) => expect(bands[i]?.x).toEqual(line.x));
    }
  });

  it("is drawn as it is when no row was left out", () => {
    series.value = new Map([["a", lines("a", { loss: zigzag })]]);
    expect(lossChart.value.bands).toEqual([]);
    expect([...(lossChart.value.lines[0]?.y ?? [])]).toEqual(zigzag);
  });
});
