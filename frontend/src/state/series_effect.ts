// Fetches the lines of the selected runs, in as many points as the charts are wide.

import { untracked } from "@preact/signals";
import { fetchSeries, type Column, type Run, type Series } from "../api";
import { batches } from "../model/batches";
import { extent, type Range } from "../model/ranges";
import { explain } from "./explain";
import { clips } from "./rate_charts";
import { isReport } from "./report";
import {
  axis,
  failure,
  lossTag,
  plotWidth,
  recoveries,
  selectedRuns,
  series,
  UNFINISHED,
  window as clipRateWindow,
  zoom,
} from "./signals";

const FIRST: readonly Column[] = ["loss"];
const REST: readonly Column[] = ["norm_before", "norm_after", "threshold", "clip_rate"];
/** What has the smallest and the largest loss of a run. */
const WHOLE_LOSS = { columns: FIRST, points: 200, range: null };
const SETTLE_FOR = 120;
const MOST_FOR_PAINTING = 500;

interface Wanted {
  readonly name: string;
  readonly run: Run;
  readonly request: string;
}

/** What a run's lines must answer to be up to date. */
function requestOf(run: Run): string {
  if (isReport) return "all there is";
  return [
    axis.value,
    clipRateWindow.value,
    zoom.value?.join(":") ?? "",
    pointCount(),
    run.steps,
    run.last_step,
    run.alerts.length,
    run.loss.tag,
    run.loss.points,
    run.loss.last_wall_time,
  ].join("|");
}

/**
 * Two for each pixel, a smallest and a largest value; in whole steps of 100 pixels, so that dragging the window's
 * edge does not refetch all the time.
 */
function pointCount(): number {
  return Math.min(10_000, Math.max(1, Math.ceil(plotWidth.value / 100)) * 200);
}

export function keepSeries(): (() => void) | undefined {
  void recoveries.value;
  if (plotWidth.value === 0) return;
  const known = untracked(() => series.value);
  const wanted = selectedRuns.value.map((run) => ({
    name: run.name,
    run,
    request: requestOf(run),
  }));
  const missing = wanted.filter(({ run, request }) => known.get(run.name)?.request !== request);
  if (missing.length === 0) return;
  const abort = new AbortController();
  const isFirst = missing.some(({ run }) => !known.has(run.name));
  const start = (): void => void untracked(() => load(missing, isFirst, abort.signal));
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (isFirst)
    start(); // answered while the page is built
  else timer = setTimeout(start, SETTLE_FOR);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}

/**
 * Runs that have no lines yet get that of the loss before all others: it is on top, a sixth of the work, and is painted
 * while nothing else is asked for. They show up as they come. Lines that are replaced are replaced together: to draw all
 * charts takes longer than to read some runs more.
 */
async function load(
  missing: readonly Wanted[],
  isFirst: boolean,
  signal: AbortSignal,
): Promise<void> {
  const rest = missing.some(({ run }) => clips(run)) ? [...REST, "throttle" as const] : REST;
  const asked = isFirst ? [FIRST, rest] : [[...FIRST, ...rest]];
  try {
    for (const columns of asked) {
      const isLast = columns === asked[asked.length - 1];
      await readAndShow(missing, columns, { oneByOne: isFirst, isLast }, signal);
      if (signal.aborted) return;
      if (!isLast) await painted();
    }
  } catch (error) {
    if (!signal.aborted) failure.value = explain(error);
  }
}

async function readAndShow(
  missing: readonly Wanted[],
  columns: readonly Column[],
  how: { readonly oneByOne: boolean; readonly isLast: boolean },
  signal: AbortSignal,
): Promise<void> {
  const waiting: Found[] = [];
  const showThose = (): void => {
    if (!signal.aborted && waiting.length > 0) show(waiting.splice(0), how.isLast);
  };
  try {
    for (const batch of batches(missing)) {
      waiting.push(...(await read(batch, columns, signal)));
      if (how.oneByOne) showThose();
      if (signal.aborted) return;
    }
    // To read the last answer and to draw a chart takes a good part of a frame each.
    if (!how.oneByOne) await painted();
  } finally {
    showThose(); // also where the rest cannot be read
  }
}

/** Resolves two frames later, when what is known now is on the screen; soon, where nothing is painted. */
function painted(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, MOST_FOR_PAINTING);
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });
}

/** Lines of a run; the range of its whole loss, undefined if it was not asked for. */
interface Found extends Wanted {
  readonly lines: readonly Series[];
  readonly lossRange: Range | null | undefined;
}

async function read(
  missing: readonly Wanted[],
  columns: readonly Column[],
  signal: AbortSignal,
): Promise<Found[]> {
  const range = zoom.peek();
  const query = {
    runs: missing.map(({ name }) => name),
    columns,
    points: untracked(pointCount),
    axis: axis.peek(),
    window: clipRateWindow.peek(),
    loss: lossTag.peek(),
    range,
  };
  const news = query.runs.filter((name) => !series.peek().has(name));
  const zoomed = range !== null && news.length > 0;
  const [answer, whole] = await Promise.all([
    fetchSeries(query, signal),
    zoomed ? fetchSeries({ ...query, ...WHOLE_LOSS, runs: news }, signal) : [],
  ]);
  return missing.map((wanted) => {
    const lines = answer.filter((one) => one.run === wanted.name);
    const losses = (range ? whole : lines).find(
      (one) => one.run === wanted.name && one.column === "loss",
    );
    return { ...wanted, lines, lossRange: losses && extent([losses.value]) };
  });
}

function show(found: readonly Found[], isLast: boolean): void {
  const next = new Map(series.peek());
  for (const { name, request, lines, lossRange } of found) {
    const previous = next.get(name);
    next.set(name, {
      columns: new Map([
        ...(previous?.columns ?? []),
        ...lines.map((one) => [one.column, one] as const),
      ]),
      lossRange: lossRange === undefined ? (previous?.lossRange ?? null) : lossRange,
      // Lines that there were are as good as before until all of the new ones are there.
      request: isLast ? request : (previous?.request ?? UNFINISHED),
    });
  }
  series.value = next;
}
