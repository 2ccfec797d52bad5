// What single parameters of made-up runs did: each has a share of its own, which drifts.

import type { Run } from "../src/api";
import { framedBody } from "../test/framed_body";
import { randomOf, type State } from "./made_up";

const LEAST_WINDOW = 16;
const AROUND = { before: 64, after: 32, parameters: 32 } as const;

interface Window {
  readonly first: number;
  readonly last: number;
}

/** Complete windows with a step between the bounds; twice as long as long as there are too many. */
function windowsOf(run: Run, query: URLSearchParams): Window[] {
  const [from, to] = [query.get("from") ?? -Infinity, query.get("to") ?? Infinity].map(Number);
  for (let length = LEAST_WINDOW; ; length *= 2) {
    const windows = Array.from({ length: Math.floor(run.steps / length) }, (_, i) => {
      const first = run.first_step + i * length;
      return { first, last: first + length - 1 };
    }).filter(({ first, last }) => last >= (from ?? 0) && first <= (to ?? 0));
    if (windows.length <= Number(query.get("windows") ?? 400)) return windows;
  }
}

export function parameters(state: State, run: Run, query: URLSearchParams): ArrayBuffer {
  const windows = windowsOf(run, query);
  const means = run.parameters.map((name) => {
    const random = randomOf(run.name + name);
    const [size, drift] = [Math.exp(3 * random()) / 20, random() - 0.5];
    return windows.map(({ first }) => {
      const noise = 0.8 + 0.4 * random();
      return state.value?.(first) ?? size * Math.exp((drift * first) / run.steps) * noise;
    });
  });
  const joint = windows.map((_, w) => Math.hypot(...means.map((row) => finite(row[w]))));
  const threshold = run.rule.threshold ?? Infinity;
  const factors = joint.map((norm) => Math.min(threshold / norm, 1));
  const cells = (of: (mean: number, w: number) => number): number[] =>
    means.flatMap((row) => row.map(of));
  const steps = windows.map(({ first, last }) => last - first + 1);
  const clipped = cells((mean, w) => {
    return Number.isNaN(mean) || (factors[w] ?? 1) === 1 ? 0 : (steps[w] ?? 0) / 2;
  });
  const { name, parameters: names } = run;
  const shapes = names.map((_, p) => (p % 3 === 2 ? [64] : [64, 32 * (1 + (p % 4))]));
  return framedBody(
    { run: name, windows: windows.length, parameters: names, shapes, left_out: 0 },
    [
      Float64Array.from(windows, ({ first }) => first),
      Float64Array.from(windows, ({ last }) => last),
      Float64Array.from(steps),
      Float64Array.from(joint),
      Float32Array.from(cells((mean) => mean)),
      Float32Array.from(cells((mean) => mean * 1.6)),
      Float32Array.from(cells((mean, w) => mean * (factors[w] ?? 1))),
      Uint32Array.from(clipped),
      Uint32Array.from(cells((mean, w) => (Number.isNaN(mean) ? (steps[w] ?? 0) : 0))),
    ],
  );
}

function finite(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) ? value : 0;
}

/** Parameters that departed grow from then on; the others stay as they are. */
export function flight(run: Run, query: URLSearchParams): ArrayBuffer {
  const step = Number(query.get("step"));
  const first = Math.max(step - AROUND.before, run.first_step);
  const last = Math.min(step + AROUND.after, run.last_step);
  const steps = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const leads = new Map(run.alerts.find((alert) => alert.step === step)?.departures ?? []);
  const names = [...new Set([...leads.keys(), ...run.parameters])].slice(0, AROUND.parameters);
  const norms = names.map((name) => {
    const random = randomOf(run.name + name);
    const size = Math.exp(3 * random()) / 20;
    const start = step - (leads.get(name) ?? -Infinity);
    return Float32Array.from(steps, (at) => {
      return size * (0.8 + 0.4 * random()) * 1.3 ** Math.min(Math.max(at - start, 0), 12);
    });
  });
  const left_out = run.parameters.length - names.length;
  return framedBody({ run: run.name, step, rows: steps.length, parameters: names, left_out }, [
    Float64Array.from(steps),
    ...norms,
  ]);
}
