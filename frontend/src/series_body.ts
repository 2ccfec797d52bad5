// The binary body of series, decoded as http_api.md describes it.

import type { Column, Series } from "./api";

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
