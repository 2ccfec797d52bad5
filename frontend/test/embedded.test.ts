import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { find, openPackage, type Answer } from "../src/embedded";
import { decodeHistograms, decodeSeries } from "../src/framing";
import { decodeParameters } from "../src/api_parameters";

// Written by tests/offline/test_package.py: a package, and the SHA-256 of each body that is in it.
const FIXTURE = new URL("../../tests/fixtures/report.json", import.meta.url);
const { packed, bodies } = JSON.parse(readFileSync(FIXTURE, "utf8")) as {
  packed: string;
  bodies: readonly string[];
};
const held = await openPackage(packed);
const ask = (address: string): ArrayBuffer | string | null => {
  const [route = "", query = ""] = address.split("?");
  return find(held, route, new URLSearchParams(query));
};
const body = (address: string): ArrayBuffer => ask(address) as ArrayBuffer;
const json = (address: string): Record<string, unknown> =>
  JSON.parse(ask(address) as string) as Record<string, unknown>;

describe("a package", () => {
  it("has every body as it was given, to the bit", () => {
    const found = held.map((each) =>
      createHash("sha256").update(Buffer.from(each.body())).digest("hex"),
    );
    expect(found).toEqual(bodies);
    expect(held.some((each) => each.word === 8) && held.some((each) => each.word === 4)).toBe(true);
  });

  it("that is damaged is refused", async () => {
    await expect(openPackage(packed.slice(0, 400))).rejects.toThrow();
    await expect(openPackage("not base64 at all!")).rejects.toThrow();
  });
});

describe("series", () => {
  const columns = "column=loss&column=threshold&column=norm_before";
  it("are those of the runs and columns asked for, runs outermost", () => {
    const lines = decodeSeries(
      body(`series?run=clipped&run=broken&${columns}&points=20&axis=step`),
    );
    const names = lines.map(({ run, column }) => `${run} ${column}`);
    expect(names.slice(0, 3).sort()).toEqual([
      "clipped loss",
      "clipped norm_before",
      "clipped threshold",
    ]);
    expect(names.slice(3).every((name) => name.startsWith("broken "))).toBe(true);
    for (const { step } of lines) expect([...step]).toEqual([...step].sort((a, b) => a - b));
  });

  it("keep what is not finite", () => {
    const [loss] = decodeSeries(body("series?run=broken&column=loss"));
    expect(loss?.value.some(Number.isNaN)).toBe(true);
  });

  it("are none for a run that is not there", () => {
    expect(decodeSeries(body("series?run=nobody&column=loss"))).toEqual([]);
  });
});

describe("a distribution", () => {
  const steps = held
    .filter(
      (each) => each.route === "histogram" && each.run === "clipped" && each.parameter === null,
    )
    .map((each) => each.step as number)
    .sort((a, b) => a - b);

  it("is the last one at or before the step, or the first", () => {
    expect(steps.length).toBeGreaterThan(2);
    for (let step = 0; step < 320; step += 7) {
      const expected = steps.filter((each) => each <= step).at(-1) ?? steps[0];
      expect(json(`histogram?run=clipped&step=${step}`)["step"]).toBe(expected);
    }
  });

  it("is the nearest between two bounds, the later of two as near, as the server's is", () => {
    const chosen = (step: number, from: number, to: number | null): unknown =>
      json(`histogram?run=clipped&step=${step}&from=${from}` + (to === null ? "" : `&to=${to}`))[
        "step"
      ];
    for (const step of [0, 60, 75, 130, 299]) {
      for (const [from, to] of [
        [0, 299],
        [step, null],
        [step - 30, step + 30],
        [steps[1] as number, (steps[2] as number) + 5],
      ] as const) {
        const inside = steps.filter((each) => each >= from && each <= (to ?? Infinity));
        const least = Math.min(...inside.map((each) => Math.abs(each - step)));
        const near = inside.filter((each) => Math.abs(each - step) === least).at(-1);
        const before = steps.filter((each) => each <= step).at(-1) ?? steps[0];
        expect(chosen(step, from, to)).toBe(near ?? before);
      }
    }
    const [a, b] = steps as [number, number];
    expect(chosen((a + b) / 2, a, b)).toBe(b);
    expect(chosen(b - 1, b, null)).toBe(b);
    expect(chosen(b - 1, b + 1, b + 1)).toBe(a); // none lies there
  });

  it("has neighbours that are held, so that one can go through all of them", () => {
    let at: unknown = steps[0];
    const seen = [];
    while (at !== null) {
      seen.push(at);
      const answer = json(`histogram?run=clipped&step=${String(at)}`);
      expect(answer["previous_step"]).toBe(seen.at(-2) ?? null);
      at = answer["next_step"];
    }
    expect(seen).toEqual(steps);
  });

  it("of a parameter is that of the parameter, or none", () => {
    expect(json("histogram?run=clipped&step=100&parameter=rnn.weight")["parameter"]).toBe(
      "rnn.weight",
    );
    expect(ask("histogram?run=clipped&step=100&parameter=nobody")).toBeNull();
    expect(ask("histograms?run=clipped&parameter=rnn.weight")).toBeNull();
  });
});

describe("a part of the steps", () => {
  const whole = decodeParameters(body("parameters?run=clipped&windows=300"));
  const map = decodeHistograms(body("histograms?run=clipped"));

  it("has the windows with a step in it, whole", () => {
    for (const [from, to] of [
      [0, 299],
      [100, 150],
      [64, 64],
      [500, 600],
    ] as const) {
      const part = decodeParameters(
        body(`parameters?run=clipped&windows=300&from=${from}&to=${to}`),
      );
      const kept = [...whole.first_step.keys()].filter(
        (w) => (whole.last_step[w] as number) >= from && (whole.first_step[w] as number) <= to,
      );
      expect([...part.first_step]).toEqual(kept.map((w) => whole.first_step[w]));
      const cells = (of: typeof whole, numbers: ArrayLike<number>, p: number): unknown[] =>
        Array.from({ length: of.windows }, (_, w) => numbers[p * of.windows + w]);
      for (const name of ["norm_before_mean", "norm_after_mean", "clipped"] as const) {
        whole.parameters.forEach((_, p) => {
          const all = cells(whole, whole[name], p);
          expect(cells(part, part[name], p)).toEqual(kept.map((w) => all[w]));
        });
      }
    }
  });

  it("has the map's steps in it and the last one before", () => {
    for (const [from, to] of [
      [0, 299],
      [60, 120],
      [120, 130],
      [500, 600],
    ] as const) {
      const part = decodeHistograms(body(`histograms?run=clipped&from=${from}&to=${to}`));
      const begun = [...map.step].filter((step) => step <= from).at(-1) ?? -Infinity;
      expect([...part.step]).toEqual([...map.step].filter((step) => step >= begun && step <= to));
      expect([...part.edges]).toEqual([...map.edges]);
      part.step.forEach((step, i) => {
        const j = map.step.indexOf(step);
        expect(part.before_zero[i]).toBe(map.before_zero[j]);
        const row = (of: typeof map, at: number): number[] => [
          ...of.before.subarray(at * of.bins, (at + 1) * of.bins),
        ];
        expect(row(part, i)).toEqual(row(map, j));
      });
    }
  });
});

describe("other questions", () => {
  it("are answered by run, and alerts by step", () => {
    expect(new TextDecoder().decode(body("runs?loss=train"))).toContain('"clipped"');
    const whatIf = JSON.parse(
      new TextDecoder().decode(body("what_if?run=clipped&from=3&to=9&at=0.5")),
    ) as { run: string };
    expect(whatIf.run).toBe("clipped");
    const flight = held.find((each) => each.route === "flight") as Answer;
    expect(ask(`flight?run=${String(flight.run)}&step=${String(flight.step)}`)).not.toBeNull();
    expect(ask(`flight?run=${String(flight.run)}&step=1`)).toBeNull();
  });

  it("have no answer", () => {
    expect(ask("csv?run=clipped&column=loss")).toBeNull();
    expect(ask("what_if?run=nobody")).toBeNull();
  });
});
