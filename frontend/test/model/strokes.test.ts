import { describe, expect, it } from "vitest";
import type { Band, ChartData, Line } from "../../src/model/chart";
import { strokes, thinnedBands } from "../../src/model/strokes";
import { randomNumbers } from "../random";

const ROWS = 2000;
const random = randomNumbers(1);
const x = Float64Array.from({ length: ROWS }, (_, i) => i);
const noise = Float64Array.from(x, () => random());
const smooth = Float64Array.from(x, (i) => i / ROWS);

function line(y: Float64Array, changes: Partial<Line> = {}): Line {
  const style = { run: "a", colour: "#000000", width: 1.6, dash: [], opacity: 1, dotted: true };
  return { ...style, x, y, ...changes };
}

function chart(lines: readonly Line[], changes: Partial<ChartData> = {}): ChartData {
  const nothing = { bands: [], thresholds: [], gaps: [], beyond: [], alerts: [], note: null };
  const scales = { xScale: "step", yScale: "linear" } as const;
  return { ...nothing, ...scales, lines, xRange: [0, ROWS - 1], yRange: [0, 1], ...changes };
}

describe("strokes", () => {
  it("are as wide as asked for, unless a line fills an area anyway", () => {
    const [wide, thin] = strokes(chart([line(smooth), line(noise)]));
    expect([wide?.width, thin?.width]).toEqual([1.6, 1]);
  });

  it("keep dashes while there are few", () => {
    const dashed = line(noise, { dash: [1, 2], opacity: 0.5, width: 0.8 });
    expect(strokes(chart([dashed]))[0]).toMatchObject({ dash: [1, 2], opacity: 0.5, width: 0.8 });
    const many = strokes(chart(Array.from({ length: 20 }, () => dashed)));
    expect(new Set(many.map((stroke) => stroke.dash.length))).toEqual(new Set([0]));
    expect(many[0]?.opacity).toBeLessThan(0.5);
  });

  it("are of what is visible and of the rows beside it", () => {
    const [stroke] = strokes(chart([line(noise)], { xRange: [100.5, 110] }));
    expect(stroke?.x[0]).toBe(100);
    expect(stroke?.x.at(-1)).toBeGreaterThanOrEqual(110);
    expect(stroke?.x.length).toBeLessThan(13);
  });

  it("are projected, and broken where there is no value", () => {
    const y = Float64Array.of(1, 10, NaN, 0);
    const few = line(y, { x: Float64Array.of(0, 1, 2, 3) });
    const [stroke] = strokes(chart([few], { xRange: [0, 3], yRange: [0.1, 100], yScale: "log" }));
    expect(stroke?.y).toEqual([0, 1, null, -1]);
  });
});

describe("a thinned band", () => {
  const thinnedBand = (one: Band, xRange: ChartData["xRange"]): Band =>
    thinnedBands({ bands: [one], xRange })[0] as Band;
  const low = noise.map((value) => value - 0.2);
  low.fill(NaN, 700, 703);
  const band: Band = { colour: "#000000", x, low, high: noise.map((value) => value + 0.2) };

  it("has few rows, and covers every row of the whole one", () => {
    const thin = thinnedBand(band, [0, ROWS - 1]);
    expect(thin.x.length).toBeLessThan(420);
    expect([thin.x[0], thin.x.at(-1)]).toEqual([0, ROWS - 1]);
    for (let i = 0; i < ROWS; i++) {
      if (!Number.isFinite(low[i])) continue;
      const row = thin.x.findLastIndex((at) => at <= i);
      expect(thin.low[row]).toBeLessThanOrEqual(low[i] as number);
      expect(thin.high[row]).toBeGreaterThanOrEqual(band.high[i] as number);
    }
  });

  it("keeps its gaps", () => {
    const thin = thinnedBand(band, [0, ROWS - 1]);
    expect([...thin.x].filter((_, i) => !Number.isFinite(thin.low[i]))).toEqual([700, 701, 702]);
  });

  it("is the whole one where there is little to see", () => {
    const thin = thinnedBand(band, [10, 20]);
    expect(thin.x.length).toBeLessThan(16);
    expect(thin.low[1]).toBe(low[thin.x[1] as number]);
  });

  it("has fewer rows the more there are, and no fewer among a few", () => {
    const rows = (count: number): number => {
      const bands = Array.from({ length: count }, () => band);
      return thinnedBands({ bands, xRange: [0, ROWS - 1] })[count - 1]?.x.length ?? 0;
    };
    expect(rows(40)).toBe(rows(1));
    expect(rows(100)).toBeLessThan(180);
    expect(rows(100)).toBeGreaterThan(100);
  });
});
