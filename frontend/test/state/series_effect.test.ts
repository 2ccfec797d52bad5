import { effect } from "@preact/signals";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { MOST } from "../../src/model/batches";
import { DEFAULTS } from "../../src/model/link";
import { keepSeries } from "../../src/state/series_effect";
import { applySettings } from "../../src/state/settings";
import { chosen, failure, plotWidth, runs, series, zoom } from "../../src/state/signals";
import { seriesBody } from "../series_body";
import { run } from "./fixtures";

const NAMES = Array.from({ length: 2 * MOST + 1 }, (_, i) => `run${i}`);

let unreadable: string | null;
let stop: () => void;
/** How many runs had been read with the present zoom whenever there were other lines. */
let shown: number[];

beforeEach(() => {
  vi.stubGlobal("fetch", answer);
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => setTimeout(callback));
  applySettings(DEFAULTS);
  [unreadable, failure.value, series.value] = [null, null, new Map()];
  runs.value = NAMES.map((name) => run(name));
  chosen.value = new Set(NAMES);
  plotWidth.value = 800;
  shown = [];
  const stops = [effect(keepSeries), series.subscribe(() => shown.push(readSoFar()))];
  stop = () => stops.forEach((one) => one());
});
afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

/** As the server does, with one row of every column, at the start of what is asked for. */
function answer(address: string): Promise<Response> {
  const query = new URL(address, "http://localhost").searchParams;
  const names = query.getAll("run");
  if (names.some((name) => name === unreadable)) {
    return Promise.resolve(new Response("no", { status: 500 }));
  }
  const values = [[Number(query.get("from") ?? -1)], [1000], [0.5]];
  const fields = ["step", "wall_time", "value"];
  const parts = names.flatMap((name) =>
    query.getAll("column").map((column) => ({ run: name, column, fields, total: 1, values })),
  );
  return Promise.resolve(new Response(seriesBody(parts)));
}

function readSoFar(): number {
  const start = zoom.peek()?.[0] ?? -1;
  return [...series.value.values()].filter(
    ({ columns }) => columns.get("clip_rate")?.step[0] === start,
  ).length;
}

it("runs show up as they come, and lines that are replaced are replaced together", async () => {
  await vi.waitFor(() => expect(readSoFar()).toBe(NAMES.length));
  expect(new Set(shown)).toEqual(new Set([0, MOST, 2 * MOST, NAMES.length]));
  shown = [];
  zoom.value = [10, 20];
  await vi.waitFor(() => expect(readSoFar()).toBe(NAMES.length));
  expect(shown).toEqual([NAMES.length]);
});

it("runs that can be read are shown where others cannot, and that is said", async () => {
  await vi.waitFor(() => expect(readSoFar()).toBe(NAMES.length));
  unreadable = NAMES.at(-1) as string;
  zoom.value = [10, 20];
  await vi.waitFor(() => expect(failure.value).not.toBeNull());
  expect(readSoFar()).toBe(2 * MOST);
});

it("shows nothing of a zoom that is over", async () => {
  await vi.waitFor(() => expect(readSoFar()).toBe(NAMES.length));
  shown = [];
  zoom.value = [10, 20];
  zoom.value = [30, 40];
  await vi.waitFor(() => expect(readSoFar()).toBe(NAMES.length));
  expect(shown).toEqual([NAMES.length]);
});
