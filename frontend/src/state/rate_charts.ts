// What the charts of clip rate and throttle draw: shares over a window of steps, of the runs that clip.

import { computed } from "@preact/signals";
import type { Run } from "../api";
import type { Band, ChartData, Line } from "../model/chart";
import { integer } from "../model/format";
import { WHOLE_RUN } from "../model/link";
import { extent, type Range } from "../model/ranges";
import { frame, linesOf } from "./chart_data";
import { drawnGroups } from "./group_lines";
import { colourOf, points } from "./points";
import { selectedRuns, theme, window } from "./signals";

export const clips = (run: Pick<Run, "rule">): boolean => run.rule.kind !== "none";

/** Whether there is anything to say about clipping at all. */
export const someRunClips = computed(() => selectedRuns.value.some(clips));

/** The steps that both look back over, in words. */
export const windowWords = computed(() =>
  window.value >= WHOLE_RUN ? "all steps so far" : `the last ${integer(window.value)} steps`,
);

export const clipRateChart = computed<ChartData>(() => {
  const { lines, bands } = drawnGroups("clip_rate") ?? clipRates();
  return {
    ...frame("clip-rate", lines, STYLE),
    bands,
    beyond: [],
    yRange: ALL,
    yScale: "share",
  };
});

/** Lines of runs, and bands for the confidence intervals. */
function clipRates(): Pick<ChartData, "lines" | "bands"> {
  const bands = selectedRuns.value.filter(clips).flatMap((run) => {
    const one = points.value.get(run.name)?.get("clip_rate");
    if (!one?.low || !one.high) return [];
    const alpha = theme.value.dark ? "38" : "26";
    return [{ colour: colourOf(run) + alpha, x: one.x, low: one.low, high: one.high }];
  });
  return { lines: linesOf("clip_rate", { width: 1.6 }, clips), bands };
}

export const throttleChart = computed<ChartData>(() => {
  const own = (): Pick<ChartData, "lines" | "bands"> => {
    return { lines: linesOf("throttle", { width: 1.6 }, clips), bands: [] };
  };
  const { lines, bands } = drawnGroups("throttle") ?? own();
  return {
    ...frame("throttle", lines, STYLE),
    bands,
    beyond: [],
    yRange: [Math.min(ALL[0], lowest(lines, bands) * (1 + ROOM)), ALL[1]],
    yScale: "share",
  };
});

const STYLE = { log: false, note: rateNote };
const ROOM = 0.04;
/** 0 to 100 %, with room for lines that run along either end. */
const ALL: Range = [-ROOM, 1 + ROOM];

/** A rule of the user's own may make gradients longer: then the share removed is below zero. */
function lowest(lines: readonly Line[], bands: readonly Band[]): number {
  return extent([...lines.map(({ y }) => y), ...bands.map(({ low }) => low)])?.[0] ?? 0;
}

function rateNote(): string {
  return someRunClips.value ? "no step to count here" : "no selected run clips its gradients";
}
