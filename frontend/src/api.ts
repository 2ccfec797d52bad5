// The HTTP API as its page (http_api.md) describes it, and the only file that fetches. A report asks its own page.
// Addresses are relative: the page's base is the plugin's own route, under whatever prefix TensorBoard has.

import { answered, isReport } from "./embedded";
import { decodeSeries } from "./framing";

export type RuleKind = "value" | "norm" | "global_norm" | "adaptive" | "custom" | "none";

export interface Rule {
  readonly kind: RuleKind;
  readonly threshold: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly text: string;
}

export interface ClipRate {
  readonly rate: number;
  readonly low: number;
  readonly high: number;
  readonly steps: number;
}

export type AlertKind =
  | "nonfinite"
  | "divergence"
  | "spike"
  | "explosion"
  | "vanishing"
  | "zero_step"
  | "regime"
  | "plateau"
  | "lint";
export type Severity = "error" | "warning" | "info";

export interface Alert {
  readonly step: number;
  readonly wall_time: number;
  readonly kind: AlertKind;
  readonly severity: Severity;
  readonly message: string;
  readonly parameter: string | null;
  /** Of `lint`: its name, and what to do. */
  readonly finding: string | null;
  readonly remedy: string | null;
  /** Parameters in the order in which they left their past, each with how many steps before `step`. */
  readonly departures: readonly (readonly [string, number])[];
  /** Of `divergence` and `spike`: when the loss was highest, the first step after it, and whether it came back. */
  readonly start: number | null;
  readonly peak: number | null;
  readonly peak_step: number | null;
  readonly end: number | null;
  readonly recovered: boolean;
  /** False for what the recorder told; true for what was computed from the points of a scalar. */
  readonly computed: boolean;
}

/** Where the loss of a run comes from: a scalar, with the points that TensorBoard kept; null if it was recorded. */
export interface Loss {
  readonly tag: string | null;
  readonly points: number | null;
  readonly first_step: number | null;
  readonly last_step: number | null;
  readonly first_wall_time: number | null;
  readonly last_wall_time: number | null;
  /** Scalars of the run that could be its loss, the best first. */
  readonly choices: readonly string[];
}

export interface Run {
  readonly name: string;
  /** Whether its gradients were; if not, its steps are the points of its loss. */
  readonly recorded: boolean;
  readonly framework: string | null;
  readonly rule: Rule;
  readonly parameters: readonly string[];
  readonly dtypes: readonly string[];
  /** How many processes or devices train together, and whether norms are of all their gradients or of one's own. */
  readonly replicas: number;
  readonly gradients: "whole" | "replica";
  /** What it was made from, if somebody else logged it; `text` says all of it. */
  readonly imported: { readonly text: string } | null;
  readonly steps: number;
  readonly first_step: number;
  readonly last_step: number;
  readonly first_wall_time: number;
  readonly last_wall_time: number;
  readonly complete: boolean;
  /** Where a later writer went on, after a restart say. */
  readonly seams: readonly { readonly step: number; readonly wall_time: number }[];
  readonly clip_rate: ClipRate | null;
  readonly recent_clip_rate: ClipRate | null;
  readonly throttle: number | null;
  /** Share of training time that recording took; null where nobody could measure it. */
  readonly overhead: number | null;
  readonly nonfinite_steps: number;
  /** Updates that a loss scaler skipped. */
  readonly skipped_steps: number;
  readonly histogram_steps: number;
  readonly loss: Loss;
  readonly alerts: readonly Alert[];
}

/** Something of a run that could not be read, as a sentence without its full stop. */
export interface Problem {
  readonly run: string;
  readonly problem: string;
}

/** A run on the wire: one without a measured overhead may leave the field out. */
type AnsweredRun = Omit<Run, "overhead"> & Partial<Pick<Run, "overhead">>;

export type Axis = "step" | "relative" | "wall_time";
export type Column =
  | "loss"
  | "threshold"
  | "norm_before"
  | "norm_after"
  | "coefficient"
  | "clipped"
  | "nonfinite"
  | "clip_rate"
  | "throttle";

export interface SeriesQuery {
  readonly runs: readonly string[];
  readonly columns: readonly Column[];
  readonly points: number;
  readonly axis: Axis;
  readonly window: number;
  /** The scalar to take for the loss of runs that have it; null for each run's own. */
  readonly loss: string | null;
  /** Both bounds, on the axis; null for the whole run. */
  readonly range: readonly [number, number] | null;
}

/** One line. `low` and `high` come with `clip_rate` only. */
export interface Series {
  readonly run: string;
  readonly column: Column;
  readonly total: number;
  readonly step: Float64Array;
  readonly wall_time: Float64Array;
  readonly value: Float64Array;
  readonly low: Float64Array | null;
  readonly high: Float64Array | null;
}

export interface Bins {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly counts: readonly number[];
  readonly size: number;
  readonly zero: number;
  readonly nan: number;
  readonly positive_infinity: number;
  readonly negative_infinity: number;
}

export interface Histogram {
  readonly run: string;
  readonly step: number;
  readonly wall_time: number;
  readonly parameter: string | null;
  readonly previous_step: number | null;
  readonly next_step: number | null;
  readonly rule: Rule;
  readonly coefficient: number | null;
  readonly clipped: number | null;
  /** Of the angle between all gradients before and after, whatever the parameter. */
  readonly cosine: number | null;
  readonly before: Bins;
  readonly after: Bins;
}

/** The server answered, but not with what was asked for; its text says why. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text || `The server answered ${status}.`);
  }
}

export async function fetchRuns(
  loss: string | null = null,
  signal?: AbortSignal,
): Promise<{ readonly runs: readonly Run[]; readonly problems: readonly Problem[] }> {
  const query = loss === null ? "" : `?${new URLSearchParams({ loss })}`;
  const answer = (await (await get(`runs${query}`, signal)).json()) as {
    runs: readonly AnsweredRun[];
    problems?: readonly Problem[];
  };
  const runs = answer.runs.map((run) => ({ ...run, overhead: run.overhead ?? null }));
  return { runs, problems: answer.problems ?? [] };
}

export async function fetchSeries(query: SeriesQuery, signal?: AbortSignal): Promise<Series[]> {
  const response = await get(`series?${seriesArguments(query)}`, signal);
  return decodeSeries(await response.arrayBuffer());
}

/** A table of every step: `points` do not matter. */
export async function fetchCsv(query: SeriesQuery): Promise<Blob> {
  return (await get(`csv?${seriesArguments(query)}`)).blob();
}

/** From a first to a last step, both included; the last one is null if it is not known yet. */
export type Stretch = readonly [first: number, last: number | null];

/** The one at or before the step, or the nearest within a stretch if that has any. */
export async function fetchHistogram(
  run: string,
  step: number,
  parameter: string | null,
  within: Stretch | null,
  signal?: AbortSignal,
): Promise<Histogram> {
  const query = new URLSearchParams({ run, step: String(step) });
  if (parameter !== null) query.set("parameter", parameter);
  if (within) query.set("from", String(within[0]));
  if (within && within[1] !== null) query.set("to", String(within[1]));
  return (await (await get(`histogram?${query}`, signal)).json()) as Histogram;
}

export function seriesArguments(query: SeriesQuery): URLSearchParams {
  const result = new URLSearchParams();
  for (const run of query.runs) result.append("run", run);
  for (const column of query.columns) result.append("column", column);
  result.set("points", String(query.points));
  result.set("axis", query.axis);
  result.set("window", String(query.window));
  if (query.loss !== null) result.set("loss", query.loss);
  if (query.range) {
    result.set("from", String(query.range[0]));
    result.set("to", String(query.range[1]));
  }
  return result;
}

export async function get(address: string, signal?: AbortSignal): Promise<Response> {
  const response = await (isReport ? answered(address) : fetch(address, signal ? { signal } : {}));
  if (!response.ok) throw new HttpError(response.status, await response.text());
  return response;
}
