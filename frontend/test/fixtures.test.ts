// Answers of the real server, recorded by the Python tests: both sides of the API are held to the same files.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeFlight, decodeParameters } from "../src/api_parameters";
import type { Bins, Histogram, Run } from "../src/api";
import { decodeHistograms, decodeSeries } from "../src/framing";
import { blameLines } from "../src/model/blame";
import { amounts } from "../src/model/heatmap";
import { bars, signedLogAxis } from "../src/model/density";

const FOLDER = new URL("../../tests/fixtures/http/", import.meta.url);
const bytes = (name: string): Uint8Array => readFileSync(new URL(name, FOLDER));
const json = (name: string): unknown => JSON.parse(new TextDecoder().decode(bytes(name)));

describe("recorded runs", () => {
  const { runs } = json("runs.json") as { runs: Run[] };

  it("are sorted by name and carry what the dashboard shows", () => {
    expect(runs.length).toBeGreaterThan(0);
    const names = runs.map((run) => run.name);
    expect(names).toEqual([...names].sort());
    for (const run of runs) {
      expect(run.last_step).toBeGreaterThanOrEqual(run.first_step);
      expect(run.rule.text).not.toBe("");
      for (const alert of run.alerts) expect(alert.finding === null).toBe(alert.kind !== "lint");
      expect(run.overhead ?? 0).toBeGreaterThanOrEqual(0);
      expect(run.overhead ?? 0).toBeLessThanOrEqual(1);
      if (run.clip_rate) expect(run.clip_rate.low).toBeLessThanOrEqual(run.clip_rate.rate);
    }
  });
});

describe("runs of scalars", () => {
  const { runs } = json("scalar_runs.json") as { runs: Run[] };

  it("have the same fields as recorded ones, and a loss to draw", () => {
    const recorded = runs.find((run) => run.recorded);
    for (const run of runs.filter((each) => !each.recorded)) {
      expect(Object.keys(run).sort()).toEqual(Object.keys(recorded ?? {}).sort());
      expect(run.loss.choices).toContain(run.loss.tag);
      expect(run.loss.points).toBe(run.steps);
      for (const alert of run.alerts) expect(alert.computed).toBe(true);
    }
  });

  it("can be told apart by their alerts", () => {
    const alerts = runs.flatMap((run) => run.alerts);
    expect(new Set(alerts.map((alert) => alert.computed))).toEqual(new Set([true, false]));
  });
});

describe("recorded findings", () => {
  it("have a name and a remedy", () => {
    const { runs } = json("runs.json") as { runs: Run[] };
    const found = runs.flatMap((run) => run.alerts).filter((alert) => alert.kind === "lint");
    expect(found.map((alert) => alert.finding)).toContain("not_covered");
    for (const alert of found) expect(alert.remedy).toMatch(/\.$/);
  });
});

describe("recorded series", () => {
  const body = Uint8Array.from(bytes("series.bin")).buffer;

  it("decode to ascending steps within the run", () => {
    const all = decodeSeries(body);
    expect(all.length).toBeGreaterThan(0);
    for (const series of all) {
      expect(series.step.length).toBeLessThanOrEqual(series.total);
      expect(series.value).toHaveLength(series.step.length);
      expect([...series.step]).toEqual([...series.step].sort((a, b) => a - b));
    }
  });

  it("have bounds around every finite clip rate", () => {
    const rates = decodeSeries(body).filter((series) => series.column === "clip_rate");
    for (const { value, low, high } of rates) {
      value.forEach((rate, i) => {
        if (!Number.isFinite(rate)) return;
        expect(low?.[i]).toBeLessThanOrEqual(rate);
        expect(high?.[i]).toBeGreaterThanOrEqual(rate);
      });
    }
  });
});

describe("recorded histogram", () => {
  const histogram = json("histogram.json") as Histogram;
  const sum = (bins: Bins): number =>
    bins.counts.reduce((total, amount) => total + amount, 0) +
    bins.zero +
    bins.nan +
    bins.positive_infinity +
    bins.negative_infinity;

  it("accounts for every gradient", () => {
    expect(sum(histogram.before)).toBe(histogram.before.size);
    expect(sum(histogram.after)).toBe(histogram.after.size);
  });

  it("has bins that ascend and become bars with a height", () => {
    for (const bins of [histogram.before, histogram.after]) {
      expect(bins.low).toEqual([...bins.low].sort((a, b) => a - b));
      for (const bar of bars(bins, signedLogAxis([bins]))) expect(bar.density).toBeGreaterThan(0);
    }
  });
});

describe("recorded windows of parameters", () => {
  const windows = decodeParameters(Uint8Array.from(bytes("parameters.bin")).buffer);

  it("follow each other and hold every step", () => {
    const { first_step, last_step, steps, windows: count } = windows;
    expect(count).toBe(10);
    expect(steps.reduce((sum, one) => sum + one)).toBe(400);
    for (let w = 1; w < count; w++) {
      expect(first_step[w]).toBe((last_step[w - 1] as number) + 1);
    }
  });

  it("have shares that sum to one in each", () => {
    const shares = amounts(windows, "share");
    for (let w = 0; w < windows.windows; w++) {
      const own = windows.parameters.map((_, p) => shares[p * windows.windows + w] as number);
      expect(own.reduce((sum, share) => sum + share)).toBeCloseTo(1, 5);
    }
  });

  it("are refused when the body was cut off", () => {
    const body = Uint8Array.from(bytes("parameters.bin")).buffer;
    expect(() => decodeParameters(body.slice(0, -4))).toThrow(/expected \d+ bytes, got/);
    expect(() => decodeParameters(body.slice(0, 9))).toThrow("does not fit");
    expect(() => decodeParameters(new ArrayBuffer(1))).toThrow("shorter");
  });
});

describe("a recorded flight", () => {
  const flight = decodeFlight(Uint8Array.from(bytes("flight.bin")).buffer);

  it("has the norm of every parameter at every step around the alert", () => {
    expect(flight.steps).toContain(flight.step);
    expect(flight.norms).toHaveLength(flight.parameters.length);
    for (const norms of flight.norms) expect(norms).toHaveLength(flight.steps.length);
    expect(flight.left_out).toBe(40 - flight.parameters.length);
  });

  it("begins with the parameter that broke", () => {
    const [broken] = blameLines(flight, [[flight.parameters[0] ?? "", 0]]);
    flight.steps.forEach((step, row) => {
      expect(Number.isNaN(broken?.ratio[row])).toBe(step >= flight.step);
    });
  });
});

describe("recorded map of histograms", () => {
  const map = decodeHistograms(Uint8Array.from(bytes("histograms.bin")).buffer);

  it("accounts for every gradient of every step", () => {
    expect(map.steps).toBeGreaterThan(1);
    expect([...map.step]).toEqual([...map.step].sort((a, b) => a - b));
    for (let i = 0; i < map.steps; i++) {
      for (const side of ["before", "after"] as const) {
        const row = map[side].subarray(i * map.bins, (i + 1) * map.bins);
        const rest = (map[`${side}_zero`][i] as number) + (map[`${side}_nonfinite`][i] as number);
        expect(row.reduce((sum, share) => sum + share, rest)).toBeCloseTo(1);
      }
    }
  });

  it("is refused when it was cut off", () => {
    const body = Uint8Array.from(bytes("histograms.bin")).buffer;
    expect(() => decodeHistograms(body.slice(0, -8))).toThrow("histograms: expected");
    expect(() => decodeHistograms(body.slice(0, 3))).toThrow("shorter than its header");
  });

  it("has nothing beyond the bounds that a rule on values cuts to", () => {
    expect([map.low[0], map.high[0]]).toEqual([-0.01, 0.01]);
    map.after.forEach((share, i) => {
      if ((map.edges[i % map.bins] as number) > 0.01) expect(share).toBe(0);
    });
  });
});
