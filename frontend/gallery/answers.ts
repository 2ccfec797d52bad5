// A server of made-up runs. Numbers follow from the name of the run and the step, so that pictures can be compared.

import type { Run } from "../src/api";
import { randomNumbers } from "../test/random";
import { seriesBody, type SeriesPart } from "../test/series_body";
import recordedHistogram from "../../tests/fixtures/http/histogram.json";

export interface State {
  readonly runs: readonly Run[];
  /** What a route does instead of answering. */
  readonly broken?: Readonly<Record<string, "silent" | "fails">>;
  /** Values of every line instead of those made up. */
  readonly value?: (step: number) => number;
  /** What the page's link says. */
  readonly link?: string;
}

const MOST_POINTS = 1500;

export function answered(state: State, address: string): Promise<Response> {
  const { pathname, searchParams } = new URL(address, location.href);
  const route = pathname.split("/").at(-1) ?? "";
  const broken = state.broken?.[route];
  if (broken === "silent") return new Promise(() => undefined);
  if (broken === "fails") {
    const words = "gradclip failed to answer; TensorBoard's log says why";
    return Promise.resolve(new Response(words, { status: 500 }));
  }
  if (route === "runs") return Promise.resolve(Response.json({ schema: 1, runs: state.runs }));
  if (route === "series") return Promise.resolve(new Response(series(state, searchParams)));
  if (route === "histogram") return Promise.resolve(Response.json(histogram(searchParams)));
  return Promise.resolve(new Response(`no ${route} here`, { status: 404 }));
}

function histogram(query: URLSearchParams): object {
  const asked = { run: query.get("run"), parameter: query.get("parameter") };
  return { ...recordedHistogram, ...asked, step: Number(query.get("step")) };
}

function series({ runs, value }: State, query: URLSearchParams): ArrayBuffer {
  const asked = new Set(query.getAll("run"));
  const parts = runs
    .filter((run) => asked.has(run.name))
    .flatMap((run) => query.getAll("column").map((column) => part(run, column, value)));
  return seriesBody(parts);
}

function part(run: Run, column: string, value: State["value"]): SeriesPart {
  const rows = Math.min(run.steps, MOST_POINTS);
  const steps = Array.from({ length: rows }, (_, i) =>
    rows === 1 ? run.first_step : Math.round((i / (rows - 1)) * (run.last_step - run.first_step)),
  );
  const random = randomNumbers(
    [...run.name].reduce((sum, sign) => sum * 31 + sign.charCodeAt(0), 7) % 1e6,
  );
  for (let i = 0; i < 8; i++) random(); // the first ones of names alike are alike
  const shift = random();
  const values = steps.map((step) => value?.(step) ?? made(column, step, random(), shift, run));
  const times = steps.map((step) => run.first_wall_time + step / 2);
  const bounds = column === "clip_rate" ? ["low", "high"] : [];
  const reach = [-0.06, 0.06].map((by) =>
    values.map((each) => Math.min(Math.max(each + by, 0), 1)),
  );
  return {
    run: run.name,
    column,
    fields: ["step", "wall_time", "value", ...bounds],
    total: run.steps,
    values: [steps, times, values, ...(bounds.length > 0 ? reach : [])],
  };
}

function made(column: string, step: number, random: number, shift: number, run: Run): number {
  const noise = (random - 0.5) * 0.3;
  const norm = Math.exp(noise * 4 + shift - step / 4000);
  const threshold = run.rule.threshold ?? Infinity;
  if (column === "loss") return 0.4 + shift + 2.5 * Math.exp(-step / 900) + noise * 0.2;
  if (column === "norm_before") return norm;
  if (column === "norm_after") return Math.min(norm, threshold);
  if (column === "threshold") return threshold;
  if (run.rule.kind === "none") return NaN;
  return Math.min(Math.max(0.9 * Math.exp(-step / 3000) - shift * 0.3 + noise * 0.2, 0), 1);
}
