export interface SeriesPart {
  readonly run: string;
  readonly column: string;
  readonly fields: readonly string[];
  readonly total: number;
  readonly values: readonly (readonly number[])[];
}

/** A body as the page about the HTTP API describes it. */
export function seriesBody(parts: readonly SeriesPart[]): ArrayBuffer {
  const series = parts.map(({ values, ...header }) => ({
    ...header,
    rows: values[0]?.length ?? 0,
  }));
  const text = new TextEncoder().encode(JSON.stringify({ series }));
  const start = Math.ceil((4 + text.length) / 8) * 8;
  const numbers = parts.flatMap((part) => part.values.flat());
  const body = new ArrayBuffer(start + numbers.length * 8);
  const bytes = new Uint8Array(body).fill(32, 4, start);
  bytes.set(text, 4);
  const view = new DataView(body);
  view.setUint32(0, start - 4, true);
  numbers.forEach((value, i) => view.setFloat64(start + i * 8, value, true));
  return body;
}
