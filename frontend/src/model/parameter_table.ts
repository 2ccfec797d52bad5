// The table of parameters: what each did over the windows shown, sorted and searched.

import { finePercent, integer, number, percent } from "./format";
import { amount, type WindowTable } from "./heatmap";
import type { Cell } from "./table";

export interface ParameterRow {
  readonly name: string;
  /** Place in the order of the model. */
  readonly place: number;
  readonly shape: string;
  readonly elements: number;
  /** Share of the squared norm in the newest window that has one, and the mean over all steps. */
  readonly share_now: number;
  readonly share: number;
  readonly norm: number;
  readonly norm_max: number;
  readonly clip_rate: number;
  readonly nonfinite: number;
}

export type SortKey = keyof ParameterRow;

export interface Sort {
  readonly key: SortKey;
  readonly descending: boolean;
}

export const MODEL_ORDER: Sort = { key: "place", descending: false };

/** One row for each parameter. Means are over all steps with a finite norm; NaN where there is none. */
export function parameterRows(table: WindowTable): ParameterRow[] {
  return table.parameters.map((name, p) => {
    const shape = table.shapes[p] ?? [];
    return { name, place: p, ...sizes(shape), ...statistics(table, p) };
  });
}

function sizes(shape: readonly number[]): Pick<ParameterRow, "shape" | "elements"> {
  return {
    shape: shape.length > 0 ? shape.join(" × ") : "scalar",
    elements: shape.reduce((product, length) => product * length, 1),
  };
}

function statistics(
  table: WindowTable,
  p: number,
): Pick<ParameterRow, "share_now" | "share" | "norm" | "norm_max" | "clip_rate" | "nonfinite"> {
  const share = new Mean();
  const norm = new Mean();
  const rate = new Mean();
  let [now, most, nonfinite] = [NaN, NaN, 0];
  for (let w = 0; w < table.windows; w++) {
    const cell = p * table.windows + w;
    const broken = table.nonfinite[cell] as number;
    const finite = (table.steps[w] as number) - broken;
    const current = amount(table, "share", p, w);
    if (!Number.isNaN(current)) now = current;
    share.add(current, finite);
    norm.add(amount(table, "norm", p, w), finite);
    rate.add(amount(table, "clip_rate", p, w), finite);
    const top = table.norm_before_max[cell] as number;
    if (!(top <= most)) most = Number.isNaN(top) ? most : top;
    nonfinite += broken;
  }
  return {
    share_now: now,
    share: share.value,
    norm: norm.value,
    norm_max: most,
    clip_rate: rate.value,
    nonfinite,
  };
}

/** A weighted mean that passes over what is NaN. */
class Mean {
  private sum = 0;
  private weight = 0;

  add(value: number, weight: number): void {
    if (Number.isNaN(value) || !(weight > 0)) return;
    this.sum += value * weight;
    this.weight += weight;
  }

  get value(): number {
    return this.weight > 0 ? this.sum / this.weight : NaN;
  }
}

/** Sorted, equal ones in the order of the model; what is NaN comes last either way. */
export function sortedRows(rows: readonly ParameterRow[], sort: Sort): ParameterRow[] {
  const sign = sort.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [a[sort.key], b[sort.key]];
    if (Number.isNaN(left) || Number.isNaN(right)) {
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a.place - b.place;
    }
    return (left < right ? -sign : left > right ? sign : 0) || a.place - b.place;
  });
}

/** What a press on a heading makes of the order: numbers start with the largest; the third press gives the model's. */
export function nextSort(current: Sort, key: SortKey): Sort {
  const descendsFirst = key !== "name" && key !== "place";
  if (current.key !== key) return { key, descending: descendsFirst };
  return current.descending === descendsFirst ? { key, descending: !descendsFirst } : MODEL_ORDER;
}

export interface TableColumn {
  readonly key: SortKey;
  readonly label: string;
  readonly title: string;
  readonly text: (row: ParameterRow) => string;
}

export const COLUMNS: readonly TableColumn[] = [
  {
    key: "elements",
    label: "Shape",
    title: "Sorts by the number of elements",
    text: (r) => r.shape,
  },
  {
    key: "share_now",
    label: "Share now",
    title: "Share of the squared norm in the newest window shown",
    text: (r) => finePercent(r.share_now),
  },
  {
    key: "share",
    label: "Mean",
    title: "Mean share of the squared norm over the steps shown",
    text: (r) => finePercent(r.share),
  },
  {
    key: "norm",
    label: "Norm",
    title: "Mean norm before clipping over the steps shown",
    text: (r) => number(r.norm),
  },
  {
    key: "norm_max",
    label: "Max",
    title: "Largest norm before clipping in the steps shown",
    text: (r) => number(r.norm_max),
  },
  {
    key: "clip_rate",
    label: "Clip rate",
    title: "Share of steps in which it was clipped",
    text: (r) => percent(r.clip_rate),
  },
  {
    key: "nonfinite",
    label: "NaN, Inf",
    title: "Steps in which its norm was NaN or infinite",
    text: (r) => integer(r.nonfinite),
  },
];

/** What rows can be sorted by. */
export const SORT_KEYS: readonly SortKey[] = ["place", "name", ...COLUMNS.map(({ key }) => key)];

/** The rows to take along, below their headings: numbers as they are, not as they are shown. */
export function parameterCells(rows: readonly ParameterRow[]): Cell[][] {
  const keys = [
    "name",
    "shape",
    "share_now",
    "share",
    "norm",
    "norm_max",
    "clip_rate",
    "nonfinite",
  ] as const;
  return [[...keys], ...rows.map((row) => keys.map((key) => row[key]))];
}

/** Which of many rows of equal height must be there, a few more on either side, so that scrolling shows no gap. */
export function rowsInView(
  count: number,
  height: number,
  scrolled: number,
  room: number,
): readonly [number, number] {
  const around = 8;
  const first = Math.max(0, Math.floor(scrolled / height) - around);
  return [Math.min(first, count), Math.min(count, Math.ceil((scrolled + room) / height) + around)];
}
