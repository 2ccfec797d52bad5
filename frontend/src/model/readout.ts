// What the tooltip says at the cursor.

import { integer } from "./format";
import { nearestRow } from "./lines";

export interface ReadoutLine {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

export interface Readout<T> {
  readonly shown: readonly T[];
  /** How many did not fit. */
  readonly more: number;
}

/** Row of a line at `x`, or -1 where the line has not begun or is over; half a spacing beyond either end counts. */
export function rowAt(line: ReadoutLine, x: number): number {
  const n = line.x.length;
  if (n === 0) return -1;
  const first = line.x[0] as number;
  const last = line.x[n - 1] as number;
  const slack = n > 1 ? (last - first) / (n - 1) / 2 : Infinity;
  return x < first - slack || x > last + slack ? -1 : nearestRow(line.x, x);
}

/** Largest first, as the lines lie on the screen, with what is not finite on top; cut to `most` rows. */
export function sortedReadout<T extends { readonly value: number }>(
  rows: readonly T[],
  most: number,
): Readout<T> {
  const rank = (value: number): number => (Number.isNaN(value) ? Infinity : value);
  const sorted = [...rows].sort((a, b) => {
    const [left, right] = [rank(a.value), rank(b.value)];
    return left === right ? 0 : right - left;
  });
  const shown = sorted.length > most ? sorted.slice(0, most - 1) : sorted;
  return { shown, more: sorted.length - shown.length };
}

/** Which step each value is from, a line for each; nothing where they are of one, and a title names it already. */
export function stepWords(steps: readonly number[], titled: number | null): string {
  const named = new Set(steps).size === 1 ? steps.slice(0, 1) : steps;
  if (named.every((step) => step === titled)) return "";
  return named.map((step) => `step ${integer(step)}`).join("\n");
}

/** Rows that are said aloud: more take longer than one listens. */
const MOST_SPOKEN = 4;

/** A tooltip as sentences: its title, its first rows and how many there are besides. */
export function spokenWords({
  title,
  shown,
  more,
}: Readout<string> & { readonly title: string }): string {
  const said = shown.slice(0, MOST_SPOKEN).map((row) => row.replaceAll("\n", ", "));
  const left = more + shown.length - said.length;
  if (said.length === 0) return `${title}: nothing recorded here`;
  return `${title}: ${said.join("; ")}${left > 0 ? `; and ${integer(left)} more` : ""}`;
}
