// Markers on a time chart: near ones merge, so that a thousand alerts stay a handful of triangles.

import type { Range } from "./ranges";

export type MarkerSeverity = "error" | "warning" | "info";

export interface Marked {
  readonly x: number;
  readonly severity: MarkerSeverity;
  /** What one alert says by itself: "NaN". */
  readonly label: string;
  /** The noun for several of its kind: "spikes". */
  readonly plural: string;
}

export interface Marker<T extends Marked> {
  /** Pixels from the left of the plot. */
  readonly pixel: number;
  readonly from: number;
  readonly to: number;
  readonly severity: MarkerSeverity;
  readonly label: string;
  /** False where the label would run into the next marker or out of the plot. */
  readonly labelled: boolean;
  readonly items: readonly T[];
}

const MERGE_WITHIN = 12;
const MOST_MARKERS = 24;
const CHARACTER_WIDTH = 6.4;
const LABEL_OFFSET = 9;
const RANK: Readonly<Record<MarkerSeverity, number>> = { error: 2, warning: 1, info: 0 };

/** Markers of the items in `range`, left to right, on a plot `width` pixels wide. */
export function layoutMarkers<T extends Marked>(
  items: readonly T[],
  range: Range,
  width: number,
): Marker<T>[] {
  const span = range[1] - range[0];
  if (width <= 0 || span <= 0) return [];
  const visible = items
    .filter((item) => item.x >= range[0] && item.x <= range[1])
    .sort((a, b) => a.x - b.x);
  const pixel = (x: number): number => ((x - range[0]) / span) * width;
  let distance = MERGE_WITHIN;
  let groups = merge(visible, pixel, distance);
  while (groups.length > MOST_MARKERS) {
    distance *= 1.5;
    groups = merge(visible, pixel, distance);
  }
  return groups.map((group, i) => {
    const at = pixel((group[0] as T).x);
    const next = groups[i + 1]?.[0];
    const end = next ? pixel(next.x) - LABEL_OFFSET : width;
    const label = describe(group);
    return {
      pixel: at,
      from: (group[0] as T).x,
      to: (group[group.length - 1] as T).x,
      severity: worst(group),
      label,
      labelled: at + LABEL_OFFSET + label.length * CHARACTER_WIDTH <= end,
      items: group,
    };
  });
}

/** A group reaches `distance` pixels from its first item, not from its last: chains must not swallow the chart. */
function merge<T extends Marked>(
  sorted: readonly T[],
  pixel: (x: number) => number,
  distance: number,
): T[][] {
  const groups: T[][] = [];
  let start = -Infinity;
  for (const item of sorted) {
    const at = pixel(item.x);
    const last = groups[groups.length - 1];
    if (last && at - start <= distance) last.push(item);
    else {
      groups.push([item]);
      start = at;
    }
  }
  return groups;
}

function worst(items: readonly Marked[]): MarkerSeverity {
  return items.reduce<MarkerSeverity>(
    (found, item) => (RANK[item.severity] > RANK[found] ? item.severity : found),
    "info",
  );
}

function describe(items: readonly Marked[]): string {
  const first = items[0] as Marked;
  if (items.length === 1) return first.label;
  const same = items.every((item) => item.plural === first.plural);
  return `${items.length} ${same ? first.plural : "alerts"}`;
}
