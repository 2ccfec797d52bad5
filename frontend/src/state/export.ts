// What panels hand over: names of files, and full tables from the server.

import { fetchCsv, type Column } from "../api";
import { pngOf, save } from "../take_away";
import {
  axis,
  lossTag,
  recordedRuns,
  selectedRuns,
  window as clipRateWindow,
  zoom,
} from "./signals";

/** Source: http_api.md. */
const MOST_RUNS = 100;

export type Format = "svg" | "png" | "csv";

/** What a panel can hand over. `name` becomes part of the file's. */
export interface Exported {
  readonly name: string;
  readonly svg: () => string;
  /** Null where there are no numbers to be had. */
  readonly csv: (() => Promise<Blob> | Blob) | null;
}

export async function download({ name, svg, csv }: Exported, format: Format): Promise<void> {
  save(await contentOf(format, svg, csv), `gradclip-${name.replace(/[^a-z0-9-]/g, "-")}.${format}`);
}

async function contentOf(
  format: Format,
  svg: Exported["svg"],
  csv: Exported["csv"],
): Promise<Blob> {
  if (format === "csv") return csv?.() ?? new Blob([]);
  return format === "png" ? pngOf(svg()) : new Blob([svg()], { type: "image/svg+xml" });
}

/**
 * Every recorded step of the selected runs in what is shown, and every point of a loss that is a scalar. Runs that have
 * only scalars have nothing but a loss.
 */
export async function stepsAsCsv(columns: readonly Column[]): Promise<Blob> {
  const runs = columns.includes("loss") ? selectedRuns.value : recordedRuns.value;
  if (runs.length > MOST_RUNS) {
    throw new Error(
      `A table has at most ${MOST_RUNS} runs, and ${runs.length} are selected: select fewer.`,
    );
  }
  return fetchCsv({
    runs: runs.map((run) => run.name),
    columns,
    points: 1000,
    axis: axis.value,
    window: clipRateWindow.value,
    range: zoom.value,
    loss: lossTag.value,
  });
}
