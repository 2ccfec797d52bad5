// How large gradients were at every recorded step, before and after clipping.

import { computed, effect } from "@preact/signals";
import { HistogramMapChart, type HistogramMapData } from "../charts/histogram_map_chart";
import type { GestureHandlers } from "../charts/gestures";
import { histogramMapSvg } from "../charts/histogram_map_svg";
import { LEAST_WIDTH } from "../charts/svg_parts";
import { integer } from "../model/format";
import { columnAt, isShown, stepRange } from "../model/histogram_map";
import { mapTable } from "../model/histogram_table";
import { csvText } from "../model/table";
import { colourOf } from "../state/points";
import { cursorStep, distributionStep, pointAtStep } from "../state/cursor";
import { isReport } from "../state/report";
import { histogramMap, mapInView, stepsInView } from "../state/histogram_map";
import { heatRange } from "../state/parameters";
import { cursor, focus, pinnedStep, theme } from "../state/signals";
import { ExportMenu } from "./export_menu";
import { Help } from "./help";
import { MountChart } from "./mount_chart";
import { stepGestures } from "./step_gestures";

const answer = computed(() => histogramMap.value?.answer ?? null);

const data = computed<HistogramMapData | null>(() => {
  const map = answer.value;
  if (!map) return null;
  return {
    map,
    colour: colourOf({ name: map.run }),
    marked: null,
    theme: theme.value,
    label: `Magnitudes of gradients of ${map.run} at ${map.steps} steps, before and after clipping`,
  };
});

/** The step whose distribution is shown beside the map, if it is on the map. */
const shownStep = computed<number | null>(() => {
  const [map, step] = [answer.value, distributionStep.value];
  const end = stepsInView.value?.[1] ?? null;
  return map && step !== null && isShown(map, step, end) ? step : null;
});

const ALL_ONLY = "A report has the map of all parameters together only.";

export function HistogramMapPanel() {
  if ((focus.value?.histogram_steps ?? 0) < 2) return null;
  const map = answer.value;
  return (
    <div class="panel map">
      <h2>
        Over time{" "}
        <small>
          magnitude of gradients by step, stronger for a larger share
          {map && map.total > map.steps
            ? `; ${integer(map.steps)} of ${integer(map.total)} recorded steps`
            : ""}
        </small>
        <span class="tools">
          {data.value && (map?.steps ?? 0) > 0 && <ExportMap />}
          <Help of="over-time" />
        </span>
      </h2>
      {histogramMap.value && !map && (
        <p class="hint">{isReport ? ALL_ONLY : "It could not be read."}</p>
      )}
      {map?.steps === 0 && <p class="hint">No step in this part has a recorded distribution.</p>}
      <MountChart
        testId="chart-histogram-map"
        label="Distributions over time: arrow keys go to the next recorded step, a click pins a step, Escape takes the pin away, then the zoom"
        focusable
        mount={mount}
      />
    </div>
  );
}

function ExportMap() {
  const picture = (): string => {
    const [now, map] = [data.value, answer.value];
    if (!now || !map) return "";
    const of = [map.run, map.parameter ?? "all parameters", `${integer(map.steps)} recorded steps`];
    const key = "magnitude of gradients, stronger for a larger share";
    const words = { title: "Distribution over time", lines: [of.join(", "), key] };
    const marked = { ...now, marked: shownStep.value };
    return histogramMapSvg(marked, words, Math.max(chartWidth(), LEAST_WIDTH));
  };
  const cells = (): Blob => {
    const map = answer.value;
    return new Blob([map ? csvText(mapTable(map)) : ""], { type: "text/csv" });
  };
  const label = "Distribution over time";
  return <ExportMenu name="distribution-over-time" label={label} svg={picture} csv={cells} />;
}

function chartWidth(): number {
  return document.querySelector("[data-testid=chart-histogram-map]")?.clientWidth ?? 0;
}

const ON_STEPS = stepGestures("map", () => {
  const map = answer.value;
  return map && map.steps > 0 ? stepRange(map) : heatRange.value;
});

/** On the map one moves from recorded step to recorded step. */
const GESTURES: GestureHandlers = {
  ...ON_STEPS,
  hover: (share) => pointAtStep("map", share === null ? null : recordedAt(share)),
  press: (share) => press(recordedAt(share)),
  step: move,
};

function recordedAt(share: number): number | null {
  const map = answer.value;
  if (!map || map.steps === 0) return null;
  const [low, high] = stepRange(map);
  return map.step[columnAt(map, low + share * (high - low))] ?? null;
}

function show(step: number | null): void {
  if (step === null) return;
  cursor.value = null;
  pinnedStep.value = step;
}

/** Shows what was pressed; what is pinned already is let go. */
function press(step: number | null): void {
  if (step !== null && pinnedStep.value === step) pinnedStep.value = null;
  else show(step);
}

/** Moves by recorded steps of the map. */
function move(columns: number): void {
  const map = answer.value;
  const from = distributionStep.value;
  if (!map || from === null) return;
  const next = map.step[Math.min(Math.max(columnAt(map, from) + columns, 0), map.steps - 1)];
  if (next !== undefined) show(next);
}

function mount(element: HTMLElement): () => void {
  let chart: HistogramMapChart | null = null;
  const observer = new IntersectionObserver((entries) => {
    mapInView.value = entries.some((entry) => entry.isIntersecting);
  });
  observer.observe(element);
  const stops = [
    effect(() => {
      const now = data.value;
      if (!now) return;
      if (chart) chart.update(now);
      else chart = new HistogramMapChart(element, now, { gestures: GESTURES });
    }),
    effect(() => {
      void data.value; // there is no chart before the first map
      chart?.setCursor(cursorStep.value);
    }),
    effect(() => {
      void data.value;
      chart?.setShown(shownStep.value);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    observer.disconnect();
    mapInView.value = false;
    chart?.destroy();
  };
}
