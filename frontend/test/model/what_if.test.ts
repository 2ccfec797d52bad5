import { describe, expect, it } from "vitest";
import {
  axisRange,
  coverageWords,
  curveCells,
  exact,
  nudged,
  outcomeAt,
  outcomeWords,
  resolution,
  resolutionWords,
  ruleWords,
  shareOnAxis,
  thresholdAt,
  tidy,
  type Curve,
} from "../../src/model/what_if";
import { randomNumbers } from "../random";

/** Rate and throttle as the definition has them. */
function clipped(norms: readonly number[], threshold: number): { rate: number; throttle: number } {
  const sum = norms.reduce((total, norm) => total + norm, 0);
  const after = norms.reduce((total, norm) => total + Math.min(norm, threshold), 0);
  const above = norms.filter((norm) => norm > threshold).length;
  return { rate: above / norms.length, throttle: 1 - after / sum };
}

function curveOf(norms: readonly number[], thresholds: readonly number[]): Curve {
  const all = thresholds.map((threshold) => clipped(norms, threshold));
  return {
    thresholds,
    clip_rate: all.map(({ rate }) => rate),
    throttle: all.map(({ throttle }) => throttle),
  };
}

/** Norms spread over two decades, and a curve through a hundred of their ranks. */
function example(seed: number): { norms: number[]; curve: Curve } {
  const random = randomNumbers(seed);
  const norms = Array.from({ length: 2000 }, () => 10 ** (random() + random() - 1));
  const sorted = [...norms].sort((a, b) => a - b);
  const low = sorted[0] as number;
  const ranks = Array.from(
    { length: 100 },
    (_, i) => sorted[Math.round((i * 1999) / 99)] as number,
  );
  return { norms, curve: curveOf(norms, [low / 2, ...ranks, (sorted[1999] as number) * 2]) };
}

describe("outcomeAt", () => {
  it("is within a percent of the definition between points, and exact on them", () => {
    const { norms, curve } = example(1);
    const random = randomNumbers(2);
    for (let round = 0; round < 200; round++) {
      const threshold = 10 ** (random() * 3 - 1.5);
      const { rate, throttle } = clipped(norms, threshold);
      const got = outcomeAt(curve, threshold);
      expect(Math.abs((got?.clip_rate ?? NaN) - rate)).toBeLessThan(0.01);
      expect(Math.abs((got?.throttle ?? NaN) - throttle)).toBeLessThan(0.01);
    }
    curve.thresholds.forEach((threshold, i) => {
      expect(outcomeAt(curve, threshold)?.clip_rate).toBeCloseTo(curve.clip_rate[i] as number, 12);
      expect(outcomeAt(curve, threshold)?.throttle).toBeCloseTo(curve.throttle[i] as number, 12);
    });
  });

  it("clips everything below the curve and nothing above it", () => {
    const { norms, curve } = example(3);
    for (const threshold of [1e-30, 1e-4]) {
      const got = outcomeAt(curve, threshold);
      expect(got?.clip_rate).toBe(1);
      expect(got?.throttle).toBeCloseTo(clipped(norms, threshold).throttle, 12);
    }
    expect(outcomeAt(curve, 1e30)).toEqual({ threshold: 1e30, clip_rate: 0, throttle: 0 });
  });

  it("has nothing to say without a curve", () => {
    expect(outcomeAt({ thresholds: [], clip_rate: [], throttle: [] }, 1)).toBeNull();
  });
});

describe("axisRange", () => {
  it("covers the curve and what must show", () => {
    const { curve } = example(4);
    const [low, high] = [curve.thresholds[0] as number, curve.thresholds.at(-1) as number];
    expect(axisRange(curve, [NaN, 0])).toEqual([low, high]);
    const wide = axisRange(curve, [1e-5, 1e5]);
    expect(wide?.[0]).toBeLessThan(1e-5);
    expect(wide?.[1]).toBeGreaterThan(1e5);
  });

  it("does not follow one norm that exploded", () => {
    const norms = [...Array.from({ length: 5000 }, (_, i) => 1 + i / 5000), 1e30];
    const thresholds = [0.5, 1, 1.5, 2, 1e10, 1e20, 2e30];
    const range = axisRange(curveOf(norms, thresholds), []);
    expect(range?.[0]).toBe(0.5);
    expect(range?.[1]).toBeLessThan(1e5);
  });

  it("is none without a curve", () => {
    expect(axisRange({ thresholds: [], clip_rate: [], throttle: [] }, [1])).toBeNull();
  });
});

describe("places on the axis", () => {
  it("and thresholds are each other's inverse, but for rounding", () => {
    for (const range of [
      [0.05, 10],
      [1e-30, 2e-30],
      [0.999, 1.001],
      [1, 1e30],
    ] as const) {
      for (let share = 0.02; share < 1; share += 0.07) {
        expect(shareOnAxis(thresholdAt(share, range), range)).toBeCloseTo(share, 1);
      }
      expect(shareOnAxis(range[0] / 2, range)).toBe(0);
      expect(shareOnAxis(range[1] * 2, range)).toBe(1);
    }
  });

  it("are reached with few digits, but enough to tell them apart", () => {
    expect(tidy(1.4186233, [0.05, 10])).toBe(1.42);
    expect(tidy(1.4186233e-30, [5e-32, 1e-29])).toBe(1.42e-30);
    expect(tidy(1.00012345, [1, 1.001])).toBe(1.000123);
  });

  it("are a hundred key presses from end to end", () => {
    const range = [0.05, 10] as const;
    let at = 0.05;
    for (let press = 0; press < 100; press++) {
      const next = nudged(at, range, 1);
      expect(next).toBeGreaterThan(at);
      at = next;
    }
    expect(at).toBe(10);
    expect(nudged(at, range, 1)).toBe(10);
    expect(nudged(1, range, -Infinity)).toBe(0.05);
    expect(nudged(1, range, Infinity)).toBe(10);
    expect(nudged(nudged(1, range, 10), range, -10)).toBeCloseTo(1, 1);
  });
});

describe("words", () => {
  const plain = (text: string): string => text.replaceAll("\u202f", " ");

  it("say what a threshold does", () => {
    const words = outcomeWords({ threshold: 1.42, clip_rate: 0.1, throttle: 0.029 });
    expect(plain(words)).toBe("1.42 clips 10 % of steps, throttle 2.9 %");
    const unknown = outcomeWords({ threshold: 1, clip_rate: null, throttle: null });
    expect(unknown).toBe("1 clips – of steps, throttle –");
  });

  it("have as many digits as the threshold has", () => {
    expect([0.25, 1.4142, 1250.5, 2e-5, 1e30].map(exact)).toEqual([
      "0.25",
      "1.4142",
      "1250.5",
      "2e−5",
      "1e+30",
    ]);
  });

  it("say which steps they are about", () => {
    expect(coverageWords({ steps: 3000, range: [0, 2999] }, 0)).toBe("steps 0 to 2,999");
    expect(coverageWords({ steps: 500, range: [2500, 2999] }, 0)).toBe(
      "newest 500, steps 2,500 to 2,999",
    );
    expect(coverageWords({ steps: 0, range: null }, 0)).toBe("no steps");
  });

  it("say what the axis is about where a run clips in another way", () => {
    expect(ruleWords("global_norm")).toBeNull();
    for (const kind of ["none", "norm", "value", "adaptive", "custom"]) {
      expect(ruleWords(kind)).toMatch(/^This run .+\. Thresholds here are for the norm of all/);
    }
  });
});

it("a curve is taken along as a row for each of its points", () => {
  const curve = { run: "a", thresholds: [0.5, 2], clip_rate: [1, 0], throttle: [0.75, 0] };
  expect(curveCells(curve)).toEqual([
    ["run", "threshold", "clip_rate", "throttle"],
    ["a", 0.5, 1, 0.75],
    ["a", 2, 0, 0],
  ]);
});

describe("resolution", () => {
  it("is further than any threshold between the points is from the truth", () => {
    for (let seed = 1; seed < 6; seed++) {
      const { norms, curve } = example(seed);
      const bound = resolution(curve);
      const random = randomNumbers(seed + 100);
      expect(bound).toBeLessThan(0.1);
      for (let i = 0; i < 100; i++) {
        const threshold = 10 ** (2 * random() - 1);
        const [told, truth] = [outcomeAt(curve, threshold), clipped(norms, threshold)];
        if (threshold > (curve.thresholds.at(-1) as number)) continue;
        expect(Math.abs((told?.clip_rate ?? 9) - truth.rate)).toBeLessThanOrEqual(bound + 1e-9);
      }
    }
  });

  it("is told in per cent, and of nothing not at all", () => {
    const curve = { thresholds: [1, 2, 3], clip_rate: [1, 0.5, 0.4], throttle: [0.2, 0.1, 0] };
    expect(resolution(curve)).toBe(0.5);
    expect(resolutionWords(curve)).toBe(
      "Read off a curve of 3 thresholds: both shares to within 50.0\u202f%.",
    );
    expect(resolutionWords(null)).toBe("");
  });
});
