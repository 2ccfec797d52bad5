// Groups of the selected runs, each drawn as the mean of its runs with a band between the extremes.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Run } from "../api";
import { RAW, type Band, type Line } from "../model/chart";
import { faded } from "../model/colours";
import { envelope } from "../model/envelope";
import { groupLine, type GroupLine, type Member } from "../model/groups";
import { smooth } from "../model/smoothing";
import { lossIsLog, normIsLog, points, type Points } from "./points";
import { colours, groupedRuns, smoothing, theme } from "./signals";

/** What groups are drawn of: norms before clipping would lie under those after. */
export type GroupColumn = "loss" | "norm_after" | "clip_rate" | "throttle";

export interface Group extends GroupLine {
  readonly name: string;
  readonly colour: string;
  /** Runs of the group that have such a line at all. */
  readonly size: number;
}

/** Groups by column; null where runs are not grouped. */
export const groupLines: Readonly<Record<GroupColumn, ReadonlySignal<readonly Group[] | null>>> = {
  loss: computed(() => groupsOf("loss", lossIsLog.value)),
  norm_after: computed(() => groupsOf("norm_after", normIsLog.value)),
  clip_rate: computed(() => groupsOf("clip_rate", false)),
  throttle: computed(() => groupsOf("throttle", false)),
};

export function drawnGroups(
  column: GroupColumn,
): { readonly lines: readonly Line[]; readonly bands: readonly Band[] } | null {
  const groups = groupLines[column].value;
  if (!groups) return null;
  const opacity = theme.value.dark ? 0.24 : 0.18;
  const style = { width: 1.8, dash: [], opacity: 1, dotted: true };
  const raw = groups.map(({ name, colour, x, mean }) => ({
    run: name,
    colour,
    x,
    y: mean,
    ...RAW,
  }));
  const smoothed = raw.map((line) => {
    const said = { x: line.x, y: line.y };
    return { ...line, ...style, y: smooth(line.x, line.y, smoothing.value), said };
  });
  return {
    lines: smoothing.value > 0 ? [...raw, ...smoothed] : smoothed,
    bands: groups.map(({ colour, x, low, high }) => {
      return { colour: faded(colour, opacity), edge: faded(colour, opacity * 2), x, low, high };
    }),
  };
}

function groupsOf(column: GroupColumn, log: boolean): readonly Group[] | null {
  if (!groupedRuns.value) return null;
  return [...groupedRuns.value].flatMap(([name, runs]) => {
    const lines = runs.filter((run) => has(run, column)).flatMap((run) => lineOf(run, column));
    const members = lines.map((line) => memberOf(line, log));
    const colour = colours.value.get(runs[0]?.name ?? "") ?? theme.value.faint;
    return members.length === 0
      ? []
      : [{ ...groupLine(members, log), name, colour, size: members.length }];
  });
}

/** A run that does not clip has no share of clipped steps, rather than one of nothing. */
function has(run: Run, column: GroupColumn): boolean {
  return run.rule.kind !== "none" || column === "loss" || column === "norm_after";
}

function lineOf(run: Run, column: GroupColumn): Points[] {
  const one = points.value.get(run.name)?.get(column);
  return one ? [one] : [];
}

function memberOf({ x, y, reduced }: Points, log: boolean): Member {
  if (!reduced) return { x, y, low: y, high: y };
  const { middle, ...around } = envelope(x, y, log);
  return { x: around.x, y: middle, low: around.low, high: around.high };
}
