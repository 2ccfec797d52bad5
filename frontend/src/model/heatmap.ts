// Parameters over steps: which amount a cell shows and how strong it is drawn.

import { finePercent, integer, number, power } from "./format";
import { LEVELS } from "./heat_colours";
import { clamp, readableExtent } from "./ranges";

export const QUANTITIES = ["share", "norm", "clip_rate", "nonfinite"] as const;
export type Quantity = (typeof QUANTITIES)[number];

/** What each is called where one chooses, and in a sentence. */
export const QUANTITY_WORDS: Readonly<Record<Quantity, readonly [label: string, long: string]>> = {
  share: ["share", "share of the squared norm"],
  norm: ["norm", "gradient norm before clipping"],
  clip_rate: ["clip rate", "share of steps in which it was clipped"],
  nonfinite: ["non-finite", "share of steps whose norm was NaN or infinite"],
};

/** As the server sends it: numbers of parameter p over W windows are at p·W up to (p + 1)·W. */
export interface WindowTable {
  readonly windows: number;
  readonly parameters: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly first_step: ArrayLike<number>;
  readonly last_step: ArrayLike<number>;
  readonly steps: ArrayLike<number>;
  readonly norm: ArrayLike<number>;
  readonly norm_before_mean: ArrayLike<number>;
  readonly norm_before_max: ArrayLike<number>;
  readonly norm_after_mean: ArrayLike<number>;
  readonly clipped: ArrayLike<number>;
  readonly nonfinite: ArrayLike<number>;
}

/**
 * The amount of parameter `p` in window `w`. NaN where there is none: without any finite norm, or, for a share, where
 * all norms are zero. A clip rate leaves steps with a norm that is not finite out.
 */
export function amount(table: WindowTable, quantity: Quantity, p: number, w: number): number {
  const cell = p * table.windows + w;
  const steps = table.steps[w] as number;
  const broken = table.nonfinite[cell] as number;
  if (quantity === "nonfinite") return broken / steps;
  const finite = steps - broken;
  if (finite <= 0) return NaN;
  if (quantity === "clip_rate") return Math.min((table.clipped[cell] as number) / finite, 1);
  const mean = table.norm_before_mean[cell] as number;
  return quantity === "norm" ? mean : (mean / (table.norm[w] as number)) ** 2;
}

export function amounts(table: WindowTable, quantity: Quantity): Float64Array {
  const { windows, parameters } = table;
  const result = new Float64Array(windows * parameters.length);
  for (let cell = 0; cell < result.length; cell++) {
    result[cell] = amount(table, quantity, Math.floor(cell / windows), cell % windows);
  }
  return result;
}

export interface HeatScale {
  /** From 0, least, to 1, most. */
  readonly position: (amount: number) => number;
  readonly ticks: readonly { readonly position: number; readonly label: string }[];
}

/** Rates go from 0 to 1; shares by their root up to the largest, as most are small; norms by their logarithm. */
export function heatScale(quantity: Quantity, values: Float64Array): HeatScale {
  if (quantity === "norm") return logScale(values);
  if (quantity !== "share") return powerScale(1, 1);
  const most = values.reduce((top, value) => (value > top ? value : top), 0);
  return powerScale(most || 1, 0.5);
}

function powerScale(most: number, exponent: number): HeatScale {
  const at = [0, 0.5, 1].map((position) => ({
    position,
    label: finePercent(most * position ** (1 / exponent)),
  }));
  return { position: (value) => clamp(value / most, 0, 1) ** exponent, ticks: at };
}

function logScale(values: Float64Array): HeatScale {
  const [low, high] = readableExtent([values], true) ?? [0.1, 1];
  const span = Math.log(high / low);
  const position = (value: number): number =>
    span > 0 ? clamp(Math.log(Math.max(value, low) / low) / span, 0, 1) : 0.5;
  if (span < Math.log(1.05)) return { position, ticks: [{ position: 0.5, label: number(high) }] };
  const labels = span > Math.log(1000) ? power10 : number;
  const middle = Math.sqrt(low * high);
  const ticks = [low, middle, high].map((value) => ({
    position: position(value),
    label: labels(value),
  }));
  return { position, ticks };
}

function power10(value: number): string {
  return power(Number(value.toPrecision(1)));
}

/** Levels of cells without an amount: nothing was recorded or moved, or no norm was finite. */
export const BLANK = -1;
export const BROKEN = -2;

/** A level for each cell: of the ramp, or one of the above. */
export function levels(table: WindowTable, values: Float64Array, scale: HeatScale): Int16Array {
  return Int16Array.from(values, (value, cell) => {
    if (!Number.isNaN(value)) return Math.round(scale.position(value) * (LEVELS - 1));
    return (table.nonfinite[cell] as number) > 0 ? BROKEN : BLANK;
  });
}

/** The window that has this step, or -1. */
export function windowAt(table: WindowTable, step: number): number {
  let low = 0;
  let high = table.windows - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (step < (table.first_step[middle] as number)) high = middle - 1;
    else if (step > (table.last_step[middle] as number)) low = middle + 1;
    else return middle;
  }
  return -1;
}

const ROW_HEIGHT = { least: 14, most: 24 } as const;

/** Height of a row, so that all fill the room if they can; rows that do not fit are scrolled to. */
export function rowHeight(parameters: number, room: number): number {
  return clamp(Math.floor(room / Math.max(parameters, 1)), ROW_HEIGHT.least, ROW_HEIGHT.most);
}

export interface CellWords {
  readonly title: string;
  readonly lines: readonly string[];
}

/** All there is to say of a cell. */
export function cellWords(table: WindowTable, p: number, w: number): CellWords {
  const cell = p * table.windows + w;
  const [first, last] = [table.first_step[w] as number, table.last_step[w] as number];
  const [clipped, broken] = [table.clipped[cell] as number, table.nonfinite[cell] as number];
  const [mean, most] = [table.norm_before_mean[cell], table.norm_before_max[cell]] as number[];
  const share = amount(table, "share", p, w);
  const after = table.norm_after_mean[cell] as number;
  const steps = integer(table.steps[w] as number);
  const norm = `norm ${number(mean as number)}, at most ${number(most as number)}`;
  return {
    title: first === last ? `step ${integer(first)}` : `steps ${integer(first)}–${integer(last)}`,
    lines: [
      ...(Number.isNaN(share) ? [] : [`${finePercent(share)} of the squared norm`]),
      Number.isNaN(mean) ? "no finite norm" : norm,
      ...(Number.isNaN(after) || clipped === 0 ? [] : [`after clipping ${number(after)}`]),
      `clipped in ${integer(clipped)} of ${steps}`,
      ...(broken > 0 ? [`not finite in ${integer(broken)} of ${steps}`] : []),
    ],
  };
}
