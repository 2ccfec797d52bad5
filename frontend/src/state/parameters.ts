// What is known of single parameters of the focused run, and what its heatmap, table and chart of norms show.

import { computed, signal } from "@preact/signals";
import type { ParameterWindows } from "../api_parameters";
import { hasValues, verticalRange, type ChartData, type Line } from "../model/chart";
import { ramp } from "../model/heat_colours";
import {
  amounts,
  BROKEN,
  cellWords,
  heatScale,
  levels,
  windowAt,
  type CellWords,
} from "../model/heatmap";
import { DEFAULTS } from "../model/link";
import { gaps } from "../model/lines";
import { parameterRows, sortedRows, type ParameterRow } from "../model/parameter_table";
import type { Range } from "../model/ranges";
import { compileSearch } from "../model/search";
import { colourOf, normIsLog } from "./points";
import { cursorStep, stepAt } from "./cursor";
import {
  axis,
  cursor,
  focus,
  parameter,
  pickedParameter,
  quantity,
  shownRange,
  theme,
  zoom,
} from "./signals";

export interface ShownWindows {
  readonly answer: ParameterWindows;
  /** What was asked for. */
  readonly request: string;
}

/** Windows of the focused run, or why there are none; null until the first answer. */
export const windows = signal<ShownWindows | { readonly error: string } | null>(null);
/** The filter of the table as typed. */
export const parameterSearch = signal(DEFAULTS.parameterSearch);
export const parameterSort = signal(DEFAULTS.parameterSort);
/** The row of the heatmap that is pointed at. */
export const heatRow = signal<number | null>(null);
/** Where the cell under the cursor lies in the heatmap, in pixels; null where it does not show. */
export const heatPlace = signal<{
  readonly x: number;
  readonly y: number;
  /** Where more room is. */
  readonly side: "left" | "right";
} | null>(null);

export const table = computed<ParameterWindows | null>(() => {
  const shown = windows.value;
  return shown && !("error" in shown) && shown.answer.run === focus.value?.name
    ? shown.answer
    : null;
});

/** Steps of the focused run that are shown: those between the edges of the other charts, whatever their axis. */
export const heatRange = computed<Range>(() => {
  if (axis.value === "step") return shownRange.value;
  const run = focus.value;
  const whole = [run?.first_step ?? 0, run?.last_step ?? 1] as const;
  if (!zoom.value) return whole;
  const [from, to] = zoom.value.map((x, i) => stepAt(x) ?? whole[i] ?? 0) as [number, number];
  return to > from ? [from, to] : whole;
});

const values = computed(() => table.value && amounts(table.value, quantity.value));
export const heat = computed(() => values.value && heatScale(quantity.value, values.value));
export const palette = computed(() => ramp(theme.value.dark));

export const parameterFilter = computed(() => compileSearch(parameterSearch.value));

const allRows = computed(() => (table.value ? parameterRows(table.value) : []));
export const shownRows = computed<readonly ParameterRow[]>(() => {
  const { matches } = parameterFilter.value;
  return sortedRows(
    allRows.value.filter((row) => matches(row.name)),
    parameterSort.value,
  );
});

const cells = computed(
  () => table.value && values.value && heat.value && levels(table.value, values.value, heat.value),
);
const rows = computed(() => ({
  names: shownRows.value.map((row) => row.name),
  places: shownRows.value.map((row) => row.place),
}));
/** What the rows are chosen and sorted by. */
export const rowOrder = computed(() => {
  const { key, descending } = parameterSort.value;
  return [table.value?.run, key, descending, parameterSearch.value].join(" ");
});
/** Whether any cell has no finite norm. */
export const hasBroken = computed(() => cells.value?.includes(BROKEN) === true);

/** The rows are those of the table, so that the heatmap can be sorted and searched with it. */
export const heatmap = computed(() => {
  if (!table.value || !cells.value) return null;
  const { windows: count, first_step, last_step } = table.value;
  return {
    ...rows.value,
    order: rowOrder.value,
    windows: count,
    first: first_step,
    last: last_step,
    levels: cells.value,
    palette: palette.value,
    xRange: heatRange.value,
    markers: (focus.value?.alerts ?? []).filter((alert) => alert.kind !== "lint"),
    picked: rows.value.names.indexOf(pickedParameter.value ?? ""),
  };
});

/** What is under the cursor, for the row that is pointed at. */
export const heatReadout = computed<(CellWords & { readonly name: string }) | null>(() => {
  const [known, row, step] = [table.value, pointedRow.value, cursorStep.value];
  if (!known || !row || step === null || cursor.value?.chart !== "parameters") return null;
  const window = windowAt(known, step);
  if (window < 0) return { name: row.name, title: "no complete window here", lines: [] };
  return { name: row.name, ...cellWords(known, row.place, window) };
});

/** The row that is pointed at in the heatmap. */
export const pointedRow = computed<ParameterRow | null>(
  () => shownRows.value[heatRow.value ?? -1] ?? null,
);

/** The picked parameter's norm over the windows shown: its mean as a line, up to its largest as a band. */
export const pickedChart = computed<ChartData | null>(() => {
  const [known, name] = [table.value, pickedParameter.value];
  const p = known && name !== null ? known.parameters.indexOf(name) : -1;
  if (!known || p < 0) return null;
  const cells = [p * known.windows, (p + 1) * known.windows] as const;
  const x = Float64Array.from(
    known.first_step,
    (first, w) => (first + (known.last_step[w] ?? 0)) / 2,
  );
  const mean = Float64Array.from(known.norm_before_mean.subarray(...cells));
  const most = Float64Array.from(known.norm_before_max.subarray(...cells));
  const colour = colourOf({ name: known.run });
  const style = { run: known.run, colour, width: 1.5, dash: [], opacity: 1, dotted: true };
  const line: Line = { ...style, x, y: mean };
  const xRange = heatRange.value;
  const log = normIsLog.value;
  const found = hasValues([line], xRange);
  return {
    lines: [line],
    bands: [{ colour: `${colour}33`, x, low: mean, high: most }],
    thresholds: [],
    gaps: gaps(x, mean).map((gap) => ({ ...gap, colour })),
    beyond: [],
    alerts: [],
    xRange,
    yRange: verticalRange([line, { x, y: most }], xRange, log),
    note: found ? null : "no finite norm here",
    xScale: "step",
    yScale: log ? "log" : "linear",
  };
});

/** Picks a parameter for all panels, or, if it is picked already, all together again. */
export function pick(name: string): void {
  parameter.value = pickedParameter.value === name ? null : name;
}
