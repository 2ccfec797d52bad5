// Answers about single parameters: windows of steps, and every step around an alert. Fetched through api.ts.

import { get } from "./api";
import { unpack } from "./framing";

/** Statistics over W windows of steps; those of parameter p are at p·W up to (p + 1)·W. */
export interface ParameterWindows {
  readonly run: string;
  readonly windows: number;
  readonly parameters: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  /** Parameters that the model has besides. */
  readonly left_out: number;
  readonly first_step: Float64Array;
  readonly last_step: Float64Array;
  readonly steps: Float64Array;
  /** √Σ norm_before_mean² over all parameters. */
  readonly norm: Float64Array;
  readonly norm_before_mean: Float32Array;
  readonly norm_before_max: Float32Array;
  readonly norm_after_mean: Float32Array;
  readonly clipped: Uint32Array;
  readonly nonfinite: Uint32Array;
}

/** Norms before clipping at every step around an alert, one array for each parameter; no steps where none were kept. */
export interface Flight {
  readonly run: string;
  readonly step: number;
  readonly parameters: readonly string[];
  readonly left_out: number;
  readonly steps: Float64Array;
  readonly norms: readonly Float32Array[];
}

export async function fetchParameters(
  run: string,
  range: readonly [number, number] | null,
  windows: number,
  signal?: AbortSignal,
): Promise<ParameterWindows> {
  const query = new URLSearchParams({ run, windows: String(windows) });
  if (range) {
    query.set("from", String(range[0]));
    query.set("to", String(range[1]));
  }
  return decodeParameters(await (await get(`parameters?${query}`, signal)).arrayBuffer());
}

export async function fetchFlight(
  run: string,
  step: number,
  signal?: AbortSignal,
): Promise<Flight> {
  const query = new URLSearchParams({ run, step: String(step) });
  return decodeFlight(await (await get(`flight?${query}`, signal)).arrayBuffer());
}

type WindowsHeader = Pick<
  ParameterWindows,
  "run" | "windows" | "parameters" | "shapes" | "left_out"
>;

/** Views into the body, not copies. */
export function decodeParameters(body: ArrayBuffer): ParameterWindows {
  const { header, take } = unpack<WindowsHeader>(body, "parameters", (h) => {
    return h.windows * 32 + h.windows * h.parameters.length * 20;
  });
  const edges = (): Float64Array => take(Float64Array, header.windows);
  const cells = header.windows * header.parameters.length;
  const floats = (): Float32Array => take(Float32Array, cells);
  const counts = (): Uint32Array => take(Uint32Array, cells);
  return {
    ...header,
    first_step: edges(),
    last_step: edges(),
    steps: edges(),
    norm: edges(),
    norm_before_mean: floats(),
    norm_before_max: floats(),
    norm_after_mean: floats(),
    clipped: counts(),
    nonfinite: counts(),
  };
}

type FlightHeader = Pick<Flight, "run" | "step" | "parameters" | "left_out"> & {
  readonly rows: number;
};

export function decodeFlight(body: ArrayBuffer): Flight {
  const { header, take } = unpack<FlightHeader>(body, "flight", (h) => {
    return h.rows * 8 + h.rows * h.parameters.length * 4;
  });
  const { rows, ...rest } = header;
  const steps = take(Float64Array, rows);
  const norms = rest.parameters.map(() => take(Float32Array, rows));
  return { ...rest, steps, norms };
}
