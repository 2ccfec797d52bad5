// The HTTP API as its page (http_api.md) describes it, and the only file that fetches.
// Addresses are relative: the page's base is the plugin's own route, under whatever prefix TensorBoard has.

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
}

export interface Run {
  readonly name: string;
  readonly framework: string;
  readonly rule: Rule;
  readonly parameters: readonly string[];
  readonly dtypes: readonly string[];
  /** How many processes or devices train together, and whether norms are of all their gradients or of one's own. */
  readonly replicas: number;
  readonly gradients: "whole" | "replica";
  readonly steps: number;
  readonly first_step: number;
  readonly last_step: number;
  readonly first_wall_time: number;
  readonly last_wall_time: number;
  readonly complete: boolean;
  readonly clip_rate: ClipRate | null;
  readonly recent_clip_rate: ClipRate | null;
  readonly throttle: number | null;
  /** Share of training time that recording took; null where nobody could measure it. */
  readonly overhead: number | null;
  readonly nonfinite_steps: number;
  /** Updates that a loss scaler skipped. */
  readonly skipped_steps: number;
  readonly histogram_steps: number;
  readonly alerts: readonly Alert[];
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

export async function fetchRuns(signal?: AbortSignal): Promise<readonly Run[]> {
  const answer = (await (await get("runs", signal)).json()) as { runs: readonly AnsweredRun[] };
  return answer.runs.map((run) => ({ ...run, overhead: run.overhead ?? null }));
}

export async function fetchSeries(query: SeriesQuery, signal?: AbortSignal): Promise<Series[]> {
  const response = await get(`series?${seriesArguments(query)}`, signal);
  return decodeSeries(await response.arrayBuffer());
}

/** A table of every step: `points` do not matter. */
export async function fetchCsv(query: SeriesQuery): Promise<Blob> {
  return (await get(`csv?${seriesArguments(query)}`)).blob();
}

export async function fetchHistogram(
  run: string,
  step: number,
  parameter: string | null,
  signal?: AbortSignal,
): Promise<Histogram> {
  const query = new URLSearchParams({ run, step: String(step) });
  if (parameter !== null) query.set("parameter", parameter);
  return (await (await get(`histogram?${query}`, signal)).json()) as Histogram;
}

export function seriesArguments(query: SeriesQuery): URLSearchParams {
  const result = new URLSearchParams();
  for (const run of query.runs) result.append("run", run);
  for (const column of query.columns) result.append("column", column);
  result.set("points", String(query.points));
  result.set("axis", query.axis);
  result.set("window", String(query.window));
  if (query.range) {
    result.set("from", String(query.range[0]));
    result.set("to", String(query.range[1]));
  }
  return result;
}

interface SeriesHeader {
  readonly series: readonly {
    readonly run: string;
    readonly column: Column;
    readonly fields: readonly string[];
    readonly rows: number;
    readonly total: number;
  }[];
}

/** Views into the body, not copies: the header is padded so that the numbers start on a multiple of 8. */
export function decodeSeries(body: ArrayBuffer): Series[] {
  if (body.byteLength < 4) throw new Error("series: the body is shorter than its header length");
  const headerLength = new DataView(body).getUint32(0, true);
  const start = 4 + headerLength;
  if (start % 8 !== 0 || start > body.byteLength) {
    throw new Error(`series: a header of ${headerLength} bytes does not fit the body`);
  }
  const text = new TextDecoder().decode(new Uint8Array(body, 4, headerLength));
  const header = JSON.parse(text) as SeriesHeader;
  const numbers = header.series.reduce((sum, s) => sum + s.rows * s.fields.length, 0);
  if (start + numbers * 8 !== body.byteLength) {
    throw new Error(`series: expected ${numbers} numbers, got ${(body.byteLength - start) / 8}`);
  }
  let offset = start;
  return header.series.map(({ run, column, total, fields, rows }) => {
    const arrays = new Map<string, Float64Array>();
    for (const field of fields) {
      arrays.set(field, new Float64Array(body, offset, rows));
      offset += rows * 8;
    }
    const required = (field: string): Float64Array => {
      const array = arrays.get(field);
      if (!array) throw new Error(`series: ${run} ${column} has no field ${field}`);
      return array;
    };
    return {
      run,
      column,
      total,
      step: required("step"),
      wall_time: required("wall_time"),
      value: required("value"),
      low: arrays.get("low") ?? null,
      high: arrays.get("high") ?? null,
    };
  });
}

async function get(address: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(address, signal ? { signal } : {});
  if (!response.ok) throw new HttpError(response.status, await response.text());
  return response;
}
