// A report: this page with answers of the server in it, made beforehand. They are asked for as a server would be, and
// come as a response of it; tb_gradclip/offline/package.py says how they are packed.

import { cutMap, cutWindows, joinSeries } from "./embedded_bodies";
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
  if (route === "histogram") return nearest(own, Number(query.get("step")));
  if (route === "series") {
    const [names, columns] = [query.getAll("run"), query.getAll("column")];
    const bodies = names.flatMap((name) => named.filter((each) => each.run === name));
    return joinSeries(
      bodies.map((each) => each.body()),
      columns,
    );
  }
  const step = route === "flight" ? Number(query.get("step")) : null;
  const one = own.find((each) => each.step === step)?.body() ?? null;
  const range = [Number(query.get("from")), Number(query.get("to"))] as const;
  if (one === null || !query.has("from")) return one;
  if (route === "parameters") return cutWindows(one, range);
  return route === "histograms" ? cutMap(one, range) : one;
}

/** The distribution at or before a step, else the first; its neighbours are those that are held. */
function nearest(held: readonly Answer[], step: number): string | null {
  const ordered = [...held].sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
  const at = Math.max(
    ordered.findLastIndex((each) => (each.step ?? 0) <= step),
    0,
  );
  const found = ordered[at];
  if (!found) return null;
  const answer = JSON.parse(new TextDecoder().decode(found.body())) as object;
  return JSON.stringify({
    ...answer,
    previous_step: ordered[at - 1]?.step ?? null,
    next_step: ordered[at + 1]?.step ?? null,
  });
}
