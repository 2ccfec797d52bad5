import { describe, expect, it } from "vitest";
import { heatmapSvg, MOST_ROWS } from "../../src/charts/heatmap_svg";
import type { HeatmapData } from "../../src/charts/heatmap_paint";
import type { HistogramMapData } from "../../src/charts/histogram_map_chart";
import { histogramMapSvg } from "../../src/charts/histogram_map_svg";
import { BLANK, BROKEN } from "../../src/model/heatmap";
import { DARK, LIGHT } from "../../src/theme";
import { all, parseXml, type Element } from "../xml";

const NAME = `<script>alert(1)</script>" onload='x' & \u0008`;
const texts = (root: Element): string[] => all(root, "text").map((element) => element.text);
const tiles = (root: Element, fill: string): string[] =>
  all(root, "path")
    .filter((path) => path.attributes["fill"] === fill)
    .flatMap((path) => path.attributes["d"]?.match(/M[^Z]*Z/g) ?? []);

describe("the heatmap as SVG", () => {
  const palette = ["#eeeeee", "#888888", "#111111"];

  const drawn = (...given: Parameters<typeof document>): Element => parseXml(document(...given));

  function document(names: readonly string[], levels: readonly number[], first = 0): string {
    const windows = levels.length / names.length;
    const steps = Array.from({ length: windows }, (_, w) => w * 10);
    const data: HeatmapData = {
      ...{ names, places: names.map((_, i) => i), order: "", windows, first: steps },
      last: steps.map((step) => step + 9),
      levels: Int16Array.from(levels),
      palette,
      xRange: [0, windows * 10],
      markers: [{ step: 15, severity: "error" }],
      picked: 1,
    };
    const ticks = [
      { position: 0, label: "0 %" },
      { position: 1, label: "80 %" },
    ];
    const words = { title: "Parameters", lines: ["share of the squared norm, run"] };
    const legend = { title: "share", ticks, broken: levels.includes(BROKEN) };
    return heatmapSvg(data, words, legend, { width: 700, first }, LIGHT);
  }

  it("has a title, names, steps and a legend as text, and no bitmap", () => {
    const root = drawn(["embedding.weight", NAME], [0, 1, 2, 2, 1, 0]);
    const said = texts(root);
    for (const word of [
      ...["Parameters", "share of the squared norm, run", "embedding.weight"],
      ...["0", "10", "20", "step", "share", "0 %", "80 %"],
    ]) {
      expect(said).toContain(word);
    }
    expect(said.some((text) => text.endsWith(`onload='x' & \ufffd`))).toBe(true);
    expect(all(root, "image")).toEqual([]);
    expect(all(root, "script")).toEqual([]);
    expect(
      all(root, "text").find((e) => e.text.endsWith("\ufffd"))?.attributes["font-weight"],
    ).toBe("600");
  });

  it("has a shape for each cell, neighbours of one level in one, and none where there is nothing", () => {
    const root = drawn(["a", "b"], [0, 1, 1, BLANK, 2, BROKEN]);
    expect(tiles(root, "#888888")).toHaveLength(1 + 1); // the other is the legend's
    expect(tiles(root, "#111111")).toHaveLength(1 + 1);
    expect(tiles(root, LIGHT.error).length).toBeGreaterThan(2); // stripes
    expect(texts(root)).toContain("no finite norm");
    expect(texts(drawn(["a"], [0, 1]))).not.toContain("no finite norm");
  });

  it("has all rows that a page takes, from the one scrolled to on", () => {
    const names = Array.from({ length: 500 }, (_, i) => `p${i}`);
    const rows = (first: number): string[] =>
      texts(
        drawn(
          names,
          names.map(() => 1),
          first,
        ),
      ).filter((text) => /^p\d/.test(text));
    expect(rows(0)).toEqual(names.slice(0, MOST_ROWS));
    expect(rows(37)).toEqual(names.slice(37, 37 + MOST_ROWS));
    expect(rows(9999)).toEqual(names.slice(-MOST_ROWS));
  });

  it("stays below a megabyte where no two cells are alike", () => {
    const names = Array.from({ length: MOST_ROWS }, (_, i) => `layer.${i}.weight`);
    const levels = Array.from({ length: names.length * 300 }, (_, i) => i % 3);
    expect(document(names, levels).length).toBeLessThan(1e6);
  });
});

describe("the map of distributions as SVG", () => {
  const map = {
    ...{ steps: 3, bins: 2 },
    step: Float64Array.of(0, 50, 150),
    edges: Float64Array.of(0.01, 0.1, 1),
    before: Float64Array.of(0.1, 0.5, 0.2, 0.4, 0, 0.3),
    after: Float64Array.of(0.6, 0, 0.6, 0, 0.6, 0),
    before_zero: Float64Array.of(0.4, 0, 0.4),
    after_zero: Float64Array.of(0.4, 0, 0.4),
    low: Float64Array.of(-0.2, -0.2, NaN),
    high: Float64Array.of(0.2, 0.2, NaN),
    before_nonfinite: Float64Array.of(0, 0.4, 0),
  };
  const data: HistogramMapData = { map, colour: "#4269d0", marked: 50, theme: LIGHT, label: "" };
  const words = { title: "Distribution over time", lines: [NAME] };
  const drawn = (changes: Partial<HistogramMapData> = {}, width = 700): Element =>
    parseXml(histogramMapSvg({ ...data, ...changes }, words, width));

  it("has a title, sides, axes and a legend as text, and no bitmap", () => {
    const root = drawn();
    for (const word of [
      ...["Distribution over time", "before", "after", "0", "100", "0.1", "step"],
      ...["share of gradients", "0 %", "50 %"],
    ]) {
      expect(texts(root).map((text) => text.replace(/\s/g, " "))).toContain(word);
    }
    expect(texts(root)).toContain(NAME.replace("\u0008", "\ufffd"));
    expect(all(root, "image")).toEqual([]);
    expect(all(root, "script")).toEqual([]);
  });

  it("has a shape for each cell with gradients: bins and zeros, before and after", () => {
    expect(tiles(drawn(), "#4269d0")).toHaveLength(5 + 2 + 3 + 2 + 32); // 32: the legend
  });

  it("has the step that is looked at, limits, and steps that broke", () => {
    const filled = (root: Element, colour: string): number =>
      all(root, "rect").filter((rect) => rect.attributes["fill"] === colour).length;
    const root = drawn();
    expect(filled(root, LIGHT.accent)).toBe(2 * 2 * 2);
    expect(filled(root, LIGHT.error)).toBe(2);
    const frames = (one: Element): number =>
      all(one, "path").filter((path) => path.attributes["stroke"] === LIGHT.ink).length;
    expect([frames(root), frames(drawn({ marked: null }))]).toEqual([2, 0]);
  });

  it("has room below for maps that lie over each other, and the colours of the theme", () => {
    const [wide, narrow] = [drawn(), drawn({ theme: DARK }, 400)];
    expect(Number(narrow.attributes["height"])).toBeGreaterThan(Number(wide.attributes["height"]));
    expect(all(narrow, "rect")[0]?.attributes["fill"]).toBe(DARK.card);
    const lowest = Math.max(...all(narrow, "text").map((e) => Number(e.attributes["y"])));
    expect(lowest).toBeLessThan(Number(narrow.attributes["height"]));
  });

  it("is empty, and well formed, without bins", () => {
    const none = new Float64Array();
    const empty = { ...map, bins: 0, edges: none, before: none, after: none };
    expect(texts(drawn({ map: empty }))).toContain("before");
  });
});
