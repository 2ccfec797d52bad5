// A report: this page with answers of the server in it, made beforehand. They are asked for as a server would be, and
// come as a response of it; tb_gradclip/offline/package.py says how they are packed.

import { cutMap, cutWindows, joinSeries, type Range } from "./embedded_bodies";
import { restored } from "./embedded_numbers";
import { unpack } from "./framing";

/** The element that holds the answers; see offline/page.py. */
const ELEMENT = "gradclip-report";

export interface Entry {
  readonly route: string;
  /** What was asked for, null where nothing was. */
  readonly run: string | null;
  readonly step: number | null;
  readonly parameter: string | null;
  readonly size: number;
  /** Where numbers of `word` bytes begin; 0 if there are none. */
  readonly start: number;
  readonly word: number;
}

export interface Answer extends Entry {
  readonly body: () => ArrayBuffer;
}

const element = typeof document === "undefined" ? null : document.getElementById(ELEMENT);

export const isReport = element !== null;
/** What the page says of itself. */
export const reportWords = element?.dataset["words"] ?? "";

const UNREADABLE =
  "This report cannot be unpacked: the file is damaged or was cut short, or the browser is older than 2023.";

let opened: Promise<readonly Answer[]> | null = null;

/** All that the page holds. */
export function heldAnswers(): Promise<readonly Answer[]> {
  opened ??= openPackage(element?.textContent ?? "").catch(() => {
    throw new Error(UNREADABLE);
  });
  return opened;
}

/** What the page holds for an address, as the server would answer it. */
export async function answered(address: string): Promise<Response> {
  const [route = "", query = ""] = address.split("?");
  const body = find(await heldAnswers(), route, new URLSearchParams(query));
  if (body !== null) return new Response(body);
  return new Response(`This report does not hold that. Open the log in TensorBoard to see it.`, {
    status: 404,
  });
}

/** Base64 of a gzipped frame to what it lists. */
export async function openPackage(text: string): Promise<readonly Answer[]> {
  const bytes = Uint8Array.from(atob(text.trim()), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const frame = await new Response(stream).arrayBuffer();
  const sizes = (header: { answers: readonly Entry[] }): number =>
    header.answers.reduce((sum, entry) => sum + entry.size, 0);
  const { header, take } = unpack<{ answers: readonly Entry[] }>(frame, "report", sizes);
  return header.answers.map((entry) => {
    const packed = take(Uint8Array, entry.size);
    return { ...entry, body: () => restored(packed, entry) };
  });
}

/** The body that answers a request; null where there is none. */
export function find(
  held: readonly Answer[],
  route: string,
  query: URLSearchParams,
): ArrayBuffer | string | null {
  const parameter = query.get("parameter");
  const named = held.filter((each) => each.route === route && each.parameter === parameter);
  const own = named.filter((each) => each.run === query.get("run"));
  const [step, range] = [Number(query.get("step")), rangeOf(query)];
  if (route === "histogram") return nearest(own, step, range);
  if (route === "series") {
    const [names, columns] = [query.getAll("run"), query.getAll("column")];
    const bodies = names.flatMap((name) => named.filter((each) => each.run === name));
    return joinSeries(
      bodies.map((each) => each.body()),
      columns,
    );
  }
  const of = route === "flight" ? step : null;
  const one = own.find((each) => each.step === of)?.body() ?? null;
  if (one === null || range === null) return one;
  if (route === "parameters") return cutWindows(one, range);
  return route === "histograms" ? cutMap(one, range) : one;
}

/** Bounds of what is asked for, both included; null where there are none. */
function rangeOf(query: URLSearchParams): Range | null {
  const [from, to] = [query.get("from"), query.get("to")];
  return from === null && to === null ? null : [Number(from ?? -Infinity), Number(to ?? Infinity)];
}

/** A distribution as the route chooses it, of those that are held; these are its neighbours too. */
function nearest(held: readonly Answer[], step: number, range: Range | null): string | null {
  const ordered = [...held].sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
  const steps = ordered.map((each) => each.step ?? 0);
  const at = placeIn(steps, step, range) ?? placeBefore(steps, step);
  const found = ordered[at];
  if (!found) return null;
  const answer = JSON.parse(new TextDecoder().decode(found.body())) as object;
  return JSON.stringify({
    ...answer,
    previous_step: steps[at - 1] ?? null,
    next_step: steps[at + 1] ?? null,
  });
}

/** Place of the last of ascending steps at or before a step, else the first. */
function placeBefore(steps: readonly number[], step: number): number {
  return Math.max(
    steps.findLastIndex((each) => each <= step),
    0,
  );
}

/** Place of the nearest of those in a range, the later of two as near; null where none lies there. */
function placeIn(steps: readonly number[], step: number, range: Range | null): number | null {
  if (range === null) return null;
  const [from, to] = range;
  const far = (i: number): number => Math.abs((steps[i] as number) - step);
  const inside = [...steps.keys()].filter(
    (i) => (steps[i] as number) >= from && (steps[i] as number) <= to,
  );
  const least = Math.min(...inside.map(far));
  return inside.findLast((i) => far(i) === least) ?? null;
}
