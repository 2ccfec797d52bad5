// From bodies that hold all of a run to those that were asked for: several runs in one, or a part of the steps.

import { unpack, unpackHistograms, unpackSeries, type SeriesHeader } from "./framing";

/** First and last step, both included. */
export type Range = readonly [from: number, to: number];

/** A block of a body: numbers of `word` bytes, `width` of them for each of its columns, columns outermost. */
interface Block {
  readonly columns: number;
  readonly width: number;
  readonly word: number;
}

/** A header and blocks of bytes as one body. */
function packBody(header: object, blocks: readonly Uint8Array[]): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((4 + text.length) / 8) * 8;
  const size = blocks.reduce((sum, block) => sum + block.length, 0);
  const body = new Uint8Array(start + size).fill(32, 0, start);
  new DataView(body.buffer).setUint32(0, start - 4, true);
  body.set(text, 4);
  let offset = start;
  for (const block of blocks) {
    body.set(block, offset);
    offset += block.length;
  }
  return body.buffer;
}

/** These columns of the series of several bodies. */
export function joinSeries(
  bodies: readonly ArrayBuffer[],
  columns: readonly string[],
): ArrayBuffer {
  const series: SeriesHeader["series"][number][] = [];
  const blocks: Uint8Array[] = [];
  for (const body of bodies) {
    const { header, take } = unpackSeries(body);
    for (const one of header.series) {
      const block = take(Uint8Array, 8 * one.rows * one.fields.length);
      if (!columns.includes(one.column)) continue;
      series.push(one);
      blocks.push(block);
    }
  }
  return packBody({ series }, blocks);
}

interface WindowsHeader {
  readonly windows: number;
  readonly parameters: readonly string[];
}

/** The windows of `parameters` that have a step in a range. */
export function cutWindows(body: ArrayBuffer, [from, to]: Range): ArrayBuffer {
  const lengthOf = (h: WindowsHeader): number => h.windows * (32 + 20 * h.parameters.length);
  const { header, take } = unpack<WindowsHeader>(body, "parameters", lengthOf);
  const { windows, parameters } = header;
  const edges = Array.from({ length: 4 }, () => take(Float64Array, windows));
  const cells = take(Uint8Array, 20 * windows * parameters.length);
  const [first, last] = edges as [Float64Array, Float64Array];
  const kept = placesOf(last, (step, i) => step >= from && (first[i] as number) <= to);
  const block = { columns: windows, width: 1, word: 8 };
  return packBody({ ...header, windows: kept.length }, [
    ...edges.map((edge) => cut(bytesOf(edge), block, kept)),
    cut(cells, { columns: windows, width: 1, word: 4 }, kept),
  ]);
}

/** The steps of `histograms` in a range, and the last one before it. */
export function cutMap(body: ArrayBuffer, [from, to]: Range): ArrayBuffer {
  const { header, arrays } = unpackHistograms(body);
  const steps = arrays.get("step") ?? new Float64Array();
  const begun = steps.findLastIndex((step) => step <= from);
  const kept = placesOf(steps, (step, i) => i >= begun && step <= to);
  const parts = [...arrays].map(([field, numbers]) => {
    if (field === "edges") return bytesOf(numbers);
    const width = numbers.length / Math.max(header.steps, 1);
    return cut(bytesOf(numbers), { columns: header.steps, width, word: 8 }, kept);
  });
  // How many were recorded in the range is not known: of a map that was thinned, more than are here.
  const total = header.total > header.steps ? Math.max(header.total - 1, kept.length) : kept.length;
  return packBody({ ...header, steps: kept.length, total }, parts);
}

function placesOf(values: Float64Array, keeps: (value: number, i: number) => boolean): number[] {
  return Array.from(values.keys()).filter((i) => keeps(values[i] as number, i));
}

function bytesOf(numbers: Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** These columns of every row of columns in a block. */
function cut(
  bytes: Uint8Array,
  { columns, width, word }: Block,
  kept: readonly number[],
): Uint8Array {
  const size = width * word;
  const rows = columns === 0 ? 0 : bytes.length / (columns * size);
  const result = new Uint8Array(rows * kept.length * size);
  for (let row = 0; row < rows; row++) {
    kept.forEach((column, i) => {
      const from = (row * columns + column) * size;
      result.set(bytes.subarray(from, from + size), (row * kept.length + i) * size);
    });
  }
  return result;
}
