import { describe, expect, it } from "vitest";
import { chartSvg, type ChartWords } from "../../src/charts/chart_svg";
import type { ChartData, Line } from "../../src/model/chart";
import { DARK, LIGHT, type Theme } from "../../src/theme";
import { all, parseXml, type Element } from "../xml";

const WORDS: ChartWords = {
  title: "Gradient norm",
  axis: "step",
  dashes: [
    { label: "before", dash: [1.5, 2.5] },
    { label: "after", dash: [] },
  ],
};
const SIZE = { width: 700, height: 240 };
const NAME = `<script>alert(1)</script>" onload='x' & ]]> \u0000\u0008\ud800 ünï`;

function line(run: string, y: readonly number[], changes: Partial<Line> = {}): Line {
  const x = Float64Array.from(y, (_, i) => i * 10);
  const style = { width: 1.5, dash: [], opacity: 1, dotted: true };
  return { run, colour: "#4269d0", x, y: Float64Array.from(y), ...style, ...changes };
}

function chart(changes: Partial<ChartData> = {}): ChartData {
  return {
    lines: [line("a", [1, 2, 4, 8])],
    bands: [],
    thresholds: [],
    gaps: [],
    beyond: [],
    alerts: [],
    xRange: [0, 30],
    yRange: [0, 10],
    note: null,
    xScale: "step",
    yScale: "linear",
    ...changes,
  };
}

function drawn(changes: Partial<ChartData> = {}, theme: Theme = LIGHT): Element {
  return parseXml(chartSvg(chart(changes), WORDS, SIZE, theme));
}

const texts = (root: Element): string[] => all(root, "text").map((element) => element.text);
const strokes = (root: Element, colour: string): Element[] =>
  all(root, "path").filter((path) => path.attributes["stroke"] === colour);
const points = (path: Element | undefined): number[][] =>
  [...(path?.attributes["d"] ?? "").matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map((m) => [
    Number(m[1]),
    Number(m[2]),
  ]);

describe("a chart as SVG", () => {
  it("has a line from top to bottom where a run was resumed, of many only its foot", () => {
    const seam = { x: 15, run: "a", colour: "#123456" };
    const [full] = strokes(drawn({ seams: [seam] }), "#123456");
    const [[, top = 0] = [], [, bottom = 0] = []] = points(full);
    expect(bottom - top).toBeGreaterThan(100);
    const many = strokes(drawn({ seams: Array.from({ length: 9 }, () => seam) }), "#123456");
    expect(many).toHaveLength(9);
    const [[, from = 0] = [], [, to = 0] = []] = points(many[0]);
    expect(to - from).toBe(8);
    expect(strokes(drawn({ seams: [{ ...seam, x: 99 }] }), "#123456")).toEqual([]);
  });

  it("has a threshold that changes as stairs under the lines, with its label where it ends", () => {
    const [x, y] = [Float64Array.of(0, 10, 10, 20), Float64Array.of(8, 8, 2, 2)];
    const stairs = line("a", [], { colour: "#ff0000", x, y });
    const style = { colour: "#ff0000", label: "threshold", labelColour: "#ff0000" };
    const threshold = { value: 2, ...style, line: stairs };
    const root = drawn({ thresholds: [threshold] });
    const placed = points(strokes(root, "#ff0000")[0]);
    const [across, down] = [0, 1].map((i) => placed.map((point) => point[i] as number));
    const [left = 0, turn = 0, same, right = 0] = across ?? [];
    expect([same, down?.[1], down?.[3]]).toEqual([turn, down?.[0], down?.[2]]);
    expect((turn - left) * 2).toBeCloseTo(right - left, 1);
    const word = all(root, "text").find((element) => element.text === "threshold");
    expect(Number(word?.attributes["x"])).toBeCloseTo(right, 1);
  });

  it("says what the page says: title, axes, dashes, runs", () => {
    const said = texts(drawn({ lines: [line("a", [1, 2]), line("b", [3, 4]), line("a", [5, 6])] }));
    for (const word of ["Gradient norm", "step", "before", "after", "0", "10", "20", "5"]) {
      expect(said).toContain(word);
    }
    expect(said.filter((text) => text === "a" || text === "b")).toEqual(["a", "b"]);
  });

  it("has another legend where lines are not runs", () => {
    const legend = ["rnn", "head"].map((name) => ({ name, colour: "#ff0000" }));
    const said = texts(parseXml(chartSvg(chart(), { ...WORDS, legend }, SIZE, LIGHT)));
    expect(said.filter((text) => ["a", "rnn", "head"].includes(text))).toEqual(["rnn", "head"]);
  });

  it("places values where the axes say they are", () => {
    const root = drawn();
    const [path] = strokes(root, "#4269d0");
    const placed = points(path);
    const y = (text: string): number =>
      Number(all(root, "text").find((element) => element.text === text)?.attributes["y"]) - 4;
    expect(placed).toHaveLength(4);
    const perUnit = (y("0") - y("5")) / 5;
    for (const [i, value] of [1, 2, 4, 8].entries()) {
      expect(placed[i]?.[1]).toBeCloseTo(y("0") - value * perUnit, 1);
    }
    const ticks = all(root, "text").filter(
      (e) => ["10", "20"].includes(e.text) && e.attributes["text-anchor"] === "middle",
    );
    const across = ticks.map((tick) => Number(tick.attributes["x"]));
    expect(placed.map(([x]) => x)).toEqual(expect.arrayContaining(across));
  });

  it("breaks lines where values are not finite, and gives single ones a point", () => {
    const root = drawn({ lines: [line("a", [1, 2, NaN, 3, Infinity, 4, 5])], xRange: [0, 60] });
    expect(strokes(root, "#4269d0")[0]?.attributes["d"]?.match(/M/g)).toHaveLength(2);
    const dots = all(root, "rect").filter((rect) => rect.attributes["width"] === "4");
    expect(dots).toHaveLength(1);
  });

  it("takes along thresholds, bands, gaps and markers", () => {
    const root = drawn({
      thresholds: [{ value: 5, colour: "#b45309", label: "threshold 5", labelColour: "#535c6a" }],
      bands: [
        {
          colour: "#4269d026",
          x: Float64Array.of(0, 10, 20),
          low: Float64Array.of(1, 1, NaN),
          high: Float64Array.of(2, 3, NaN),
        },
      ],
      gaps: [{ kind: "NaN", from: 20, to: 25, colour: "#4269d0" }],
      alerts: [
        {
          ...{ x: 10, severity: "error", label: "NaN", plural: "NaN", run: "a", colour: "#4269d0" },
          ...{ step: 10, kind: "nonfinite", message: "", departures: [], sequel: null },
          ...{ finding: null, source: null },
        },
      ],
    });
    expect(texts(root)).toEqual(expect.arrayContaining(["threshold 5", "NaN"]));
    expect(strokes(root, "#b45309")).toHaveLength(1);
    const label = all(root, "text").find((element) => element.text === "threshold 5");
    expect(label?.attributes["fill"]).toBe("#535c6a");
    expect(strokes(root, LIGHT.error)[0]?.attributes["stroke-dasharray"]).toBe("3 3");
    const band = all(root, "path").find((path) => path.attributes["fill-opacity"] === "0.15");
    expect([points(band).length, band?.attributes["fill"]]).toEqual([4, "#4269d0"]);
    const triangles = all(root, "path").filter((path) => path.attributes["fill"] === "#4269d0");
    expect(triangles.length).toBeGreaterThan(1);
  });

  it("has a line around bands that have one on the screen, and marks what lies beyond the range", () => {
    const band = { x: Float64Array.of(0, 10, 20), low: Float64Array.of(1, 1, 1) };
    const bands = [
      { ...band, colour: "#4269d026", edge: "#4269d0", high: Float64Array.of(2, 3, 2) },
      { ...band, colour: "#ff000026", high: Float64Array.of(2, 3, 2) },
    ];
    const beyond = [
      { x: 10, above: true, colour: "#123456" },
      { x: 20, above: false, colour: "#123456" },
    ];
    const root = drawn({ lines: [], bands, beyond });
    const edges = strokes(root, "#4269d0");
    expect(edges.map((path) => path.attributes["stroke-width"])).toEqual(["0.75"]);
    expect(points(edges[0])).toHaveLength(6);
    const tips = strokes(root, "#123456").map((path) => points(path)[1]);
    expect(tips).toEqual([
      [60 + (10 / 30) * 624, 55],
      [60 + (20 / 30) * 624, 247],
    ]);
  });

  it("has the threshold that is tried out, if it lies in the range", () => {
    const svg = (value: number): Element =>
      parseXml(chartSvg(chart(), { ...WORDS, limit: { value, label: "what if" } }, SIZE, LIGHT));
    const [line] = strokes(svg(5), LIGHT.accent);
    expect(points(line).map(([, y]) => y)).toEqual([151, 151]);
    expect(texts(svg(5))).toContain("what if");
    expect(strokes(svg(50), LIGHT.accent)).toEqual([]);
    expect(texts(svg(50))).not.toContain("what if");
  });

  it("draws noisy lines as thin as the screen does", () => {
    const noisy = line(
      "a",
      Array.from({ length: 200 }, (_, i) => (i % 2) * 10),
    );
    const [path] = strokes(drawn({ lines: [noisy], xRange: [0, 1990] }), "#4269d0");
    expect(path?.attributes["stroke-width"]).toBe("1");
  });

  it("has the colours of the theme", () => {
    for (const theme of [LIGHT, DARK]) {
      const [background] = all(drawn({}, theme), "rect");
      expect(background?.attributes["fill"]).toBe(theme.card);
      expect(background?.attributes["width"]).toBe("700");
    }
  });

  it("is text whatever a run is called", () => {
    const root = drawn({ lines: [line(NAME, [1, 2])] });
    expect(texts(root)).toContain(
      `<script>alert(1)</script>" onload='x' & ]]> \ufffd\ufffd\ufffd ünï`,
    );
    expect(all(root, "script")).toEqual([]);
    const names = new Set(
      all({ ...root, children: [root] }, "svg")
        .concat(all(root, "text"))
        .flatMap((e) => Object.keys(e.attributes)),
    );
    expect([...names].filter((name) => name.startsWith("on"))).toEqual([]);
  });

  it("has no number that is none, however far lines go", () => {
    const wild = line("a", [1e300, 0, -1e300, 1e-300, 5]);
    const empty = line("b", []);
    for (const yScale of ["linear", "log"] as const) {
      const yRange = [0.1, 10] as const;
      const text = chartSvg(chart({ lines: [wild, empty], yScale, yRange }), WORDS, SIZE, LIGHT);
      for (const path of all(parseXml(text), "path")) {
        expect(path.attributes["d"]).toMatch(/^([MLhvZ](-?\d+(\.\d+)?,?)*)+$/);
      }
    }
  });

  it("says what is missing where there is nothing to draw", () => {
    expect(texts(drawn({ lines: [], note: "nothing finite here" }))).toContain(
      "nothing finite here",
    );
  });

  it("makes room for the names of many runs", () => {
    const many = Array.from({ length: 50 }, (_, i) => line(`experiment/run-${i}`, [1, 2]));
    const root = drawn({ lines: many });
    const height = Number(root.attributes["height"]);
    const places = all(root, "text").filter((e) => e.text.startsWith("experiment"));
    expect(places).toHaveLength(50);
    for (const { attributes } of places) {
      expect(Number(attributes["y"])).toBeLessThan(height);
      expect(Number(attributes["x"])).toBeLessThan(600);
    }
    expect(
      new Set(places.map(({ attributes }) => `${attributes["x"]},${attributes["y"]}`)).size,
    ).toBe(50);
  });
});
