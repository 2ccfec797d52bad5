import { framedBody } from "./framed_body";

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
  return framedBody(
    { series },
    parts.flatMap((part) => part.values.map((each) => Float64Array.from(each))),
  );
}
