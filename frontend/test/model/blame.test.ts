import { describe, expect, it } from "vitest";
import {
  blameLines,
  leadWords,
  median,
  orderWords,
  timesWords,
  whyNoFlight,
  type FlightTable,
} from "../../src/model/blame";

/** Ten steps around an alert at step 106: `up` rises from 104 on, `nan` breaks at 106, `zero` never moves. */
const FLIGHT: FlightTable = {
  step: 106,
  parameters: ["up", "calm", "nan", "zero"],
  steps: Float64Array.from({ length: 10 }, (_, i) => 100 + i),
  norms: [
    Float32Array.of(2, 2, 2, 2, 20, 40, 80, 80, 80, 80),
    Float32Array.of(1, 3, 1, 3, 1, 3, 1, 3, 1, 3),
    Float32Array.of(1, 1, 1, 1, 1, 1, NaN, NaN, NaN, Infinity),
    new Float32Array(10),
  ],
};

describe("blameLines", () => {
  it("compares every norm to its median before anything departed", () => {
    const [up, calm] = blameLines(FLIGHT, [["up", 2]]);
    expect([up?.usual, calm?.usual]).toEqual([2, 2]);
    expect([...(up?.ratio ?? [])]).toEqual([1, 1, 1, 1, 10, 20, 40, 40, 40, 40]);
  });

  it("has those that departed first, in the order in which they did", () => {
    const lines = blameLines(FLIGHT, [
      ["nan", 2],
      ["up", 0],
    ]);
    expect(lines.map((line) => [line.name, line.lead])).toEqual([
      ["nan", 2],
      ["up", 0],
      ["calm", null],
      ["zero", null],
    ]);
  });

  it("has no ratio to what was never there", () => {
    const zero = blameLines(FLIGHT, []).find((line) => line.name === "zero");
    expect(zero?.usual).toBeNaN();
    expect(zero?.ratio.every(Number.isNaN)).toBe(true);
  });

  it("leaves what is not finite as it is", () => {
    const nan = blameLines(FLIGHT, []).find((line) => line.name === "nan");
    expect([...(nan?.ratio.slice(5) ?? [])]).toEqual([1, NaN, NaN, NaN, Infinity]);
  });

  it("takes all of a flight that begins with the alert, and leaves out whom it does not know", () => {
    const late = { ...FLIGHT, step: 100 };
    const lines = blameLines(late, [["gone", 1]]);
    expect(lines[0]).toMatchObject({ name: "up", lead: null, usual: 30 });
  });

  it("shows eight others at most", () => {
    const names = Array.from({ length: 30 }, (_, i) => `p${i}`);
    const many = { ...FLIGHT, parameters: names, norms: names.map(() => FLIGHT.norms[1] ?? []) };
    expect(blameLines(many, [["p20", 3]]).map((line) => line.name)).toEqual([
      "p20",
      ...names.slice(0, 8),
    ]);
  });
});

it("the median passes over what is not finite, and zero is no scale", () => {
  expect(median([3, NaN, 1, Infinity, 2])).toBe(2);
  expect(median([1, 3])).toBe(2);
  expect(median([0, 0, 5])).toBeNaN();
  expect(median([])).toBeNaN();
});

describe("words", () => {
  it("tell the order of departure", () => {
    expect(
      orderWords("divergence", [
        ["rnn.weight", 7],
        ["head.bias", 1],
        ["embedding", 0],
        ["late", -2],
      ]),
    ).toBe(
      "rnn.weight left its past 7 steps before, then head.bias 1 step before, " +
        "embedding at the alert's step, late 2 steps after.",
    );
    expect(orderWords("nonfinite", [["a", 3]])).toBe("a broke 3 steps before.");
  });

  it("tell why nobody is named", () => {
    expect(orderWords("divergence", [])).toContain("moved together");
    expect(orderWords("nonfinite", [])).toContain("at once");
  });

  it("tell why there is no timeline", () => {
    expect(whyNoFlight({ kind: "lint" })).toContain("finding");
    expect(whyNoFlight({ kind: "spike", computed: true })).toContain("scalars");
    expect(whyNoFlight({ kind: "spike" })).toBeNull();
  });

  it("read ratios and leads aloud", () => {
    expect([0.42, 1, 35.2, 1234.5, NaN, Infinity].map(timesWords)).toEqual([
      "×0.42",
      "×1",
      "×35",
      "×1,235",
      "–",
      "∞",
    ]);
    expect([2, 1, 0, -1].map(leadWords)).toEqual([
      "2 steps before",
      "1 step before",
      "at the alert's step",
      "1 step after",
    ]);
  });
});
