// A server of made-up runs.

import type { Run } from "../src/api";
import { csvText } from "../src/model/table";
import { seriesBody } from "../test/series_body";
import { histogram, histograms } from "./histogram_answers";
import { part, type State } from "./made_up";
import { flight, parameters } from "./parameter_answers";
import { whatIf } from "./what_if_answer";

export type { State } from "./made_up";

export function answered(state: State, address: string): Promise<Response> {
  const { pathname, searchParams } = new URL(address, location.href);
  const route = pathname.split("/").at(-1) ?? "";
  const broken = state.broken?.[route];
  if (broken === "silent") return new Promise(() => undefined);
  if (broken === "fails") {
    const words = "gradclip failed to answer; TensorBoard's log says why";
    return Promise.resolve(new Response(words, { status: 500 }));
  }
  return Promise.resolve(answer(state, route, searchParams));
}

function answer(state: State, route: string, query: URLSearchParams): Response {
  if (route === "runs")
    return Response.json({ schema: 1, runs: state.runs, problems: state.problems ?? [] });
  if (route === "series") return new Response(series(state, query));
  if (route === "csv") return new Response(csv(state, query));
  const run = state.runs.find(({ name }) => name === query.get("run"));
  if (!run) return new Response("no such run", { status: 404 });
  if (route === "what_if") return Response.json(whatIf(state, run, query));
  if (route === "parameters") return new Response(parameters(state, run, query));
  if (route === "flight") return new Response(flight(run, query));
  if (run.histogram_steps === 0) return new Response("it has no histogram", { status: 404 });
  if (route === "histogram") return Response.json(histogram(state, run, query));
  if (route === "histograms") return new Response(histograms(state, run, query));
  return new Response(`no ${route} here`, { status: 404 });
}

function asked({ runs }: State, query: URLSearchParams): readonly Run[] {
  const names = new Set(query.getAll("run"));
  return runs.filter((run) => names.has(run.name));
}

function series(state: State, query: URLSearchParams): ArrayBuffer {
  const columns = query.getAll("column");
  const parts = asked(state, query).flatMap((run) =>
    columns.map((column) => part(run, column, state)),
  );
  return seriesBody(parts);
}

/** Of the steps that the lines have, and without the bounds of clip rates. */
function csv(state: State, query: URLSearchParams): string {
  const columns = query.getAll("column");
  const rows = asked(state, query).flatMap((run) => {
    const parts = columns.map((column) => part(run, column, state).values);
    const [steps = [], times = []] = parts[0] ?? [];
    return steps.map((step, i) => [
      ...[run.name, step, times[i] ?? NaN],
      ...parts.map((values) => values[2]?.[i] ?? NaN),
    ]);
  });
  return csvText([["run", "step", "wall_time", ...columns], ...rows]);
}
