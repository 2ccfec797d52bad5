// Binary bodies of the HTTP API: a header in JSON, then numbers. All arrays are views into the body, not copies: the
// header is padded so that the numbers start on a multiple of 8.

import type { Column, Series } from "./api";
import type { HistogramMap } from "./api_histograms";

export interface SeriesHeader {
  readonly series: readonly {
    readonly run: string;
    readonly column: Column;
    readonly fields: readonly string[];
    readonly rows: number;
    readonly total: number;
  }[];
}

export function decodeSeries(body: ArrayBuffer): Series[] {
  const { header, take } = unpackSeries(body);
  return header.series.map(({ run, column, total, fields, rows }) => {
    const arrays = new Map(fields.map((field) => [field, take(Float64Array, rows)]));
    const required = requiring(arrays, `series: ${run} ${column}`);
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

export function unpackSeries(body: ArrayBuffer): Unpacked<SeriesHeader> {
  return unpack(body, "series", ({ series }) =>
    series.reduce((sum, { rows, fields }) => sum + 8 * rows * fields.length, 0),
  );
}

interface HistogramsHeader extends Pick<
  HistogramMap,
  "run" | "parameter" | "total" | "steps" | "bins"
> {
  readonly fields: readonly string[];
}

/** The header and the numbers of each of its fields, in order. */
export function unpackHistograms(body: ArrayBuffer): {
  readonly header: HistogramsHeader;
  readonly arrays: ReadonlyMap<string, Float64Array>;
} {
  const length = (field: string, { steps, bins }: HistogramsHeader): number => {
    if (field === "edges") return bins === 0 ? 0 : bins + 1;
    return field === "before" || field === "after" ? steps * bins : steps;
  };
  const { header, take } = unpack<HistogramsHeader>(body, "histograms", (found) =>
    found.fields.reduce((sum, field) => sum + 8 * length(field, found), 0),
  );
  const numbers = header.fields.map(
    (field) => [field, take(Float64Array, length(field, header))] as const,
  );
  return { header, arrays: new Map(numbers) };
}

export function decodeHistograms(body: ArrayBuffer): HistogramMap {
  const { header, arrays } = unpackHistograms(body);
  const { run, parameter, total, steps, bins } = header;
  const required = requiring(arrays, `histograms: ${run}`);
  return {
    ...{ run, parameter, total, steps, bins },
    step: required("step"),
    low: required("low"),
    high: required("high"),
    edges: required("edges"),
    before: required("before"),
    after: required("after"),
    before_zero: required("before_zero"),
    after_zero: required("after_zero"),
    before_nonfinite: required("before_nonfinite"),
    after_nonfinite: required("after_nonfinite"),
  };
}

interface Numbers<A> {
  new (body: ArrayBuffer, offset: number, amount: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

interface Unpacked<T> {
  readonly header: T;
  /** The next so many numbers of a kind, a view into the body. */
  readonly take: <A extends ArrayBufferView>(kind: Numbers<A>, amount: number) => A;
}

/** Throws where the body is not as long as its header says; `size` is that of the numbers, in bytes. */
export function unpack<T>(
  body: ArrayBuffer,
  what: string,
  size: (header: T) => number,
): Unpacked<T> {
  if (body.byteLength < 4) throw new Error(`${what}: the body is shorter than its header length`);
  const length = new DataView(body).getUint32(0, true);
  let offset = 4 + length;
  if (offset % 8 !== 0 || offset > body.byteLength) {
    throw new Error(`${what}: a header of ${length} bytes does not fit the body`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length))) as T;
  if (offset + size(header) !== body.byteLength) {
    throw new Error(`${what}: expected ${size(header)} bytes, got ${body.byteLength - offset}`);
  }
  return {
    header,
    take: (kind, amount) => {
      const array = new kind(body, offset, amount);
      offset += amount * kind.BYTES_PER_ELEMENT;
      return array;
    },
  };
}

function requiring(
  arrays: ReadonlyMap<string, Float64Array>,
  whose: string,
): (field: string) => Float64Array {
  return (field) => {
    const array = arrays.get(field);
    if (!array) throw new Error(`${whose} has no field ${field}`);
    return array;
  };
}
