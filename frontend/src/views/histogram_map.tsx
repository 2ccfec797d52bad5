// How large gradients were at every recorded step, before and after clipping.

import { computed, effect } from "@preact/signals";
import { HistogramMapChart, type HistogramMapData } from "../charts/histogram_map_chart";
import { histogramMapSvg } from "../charts/histogram_map_svg";
import { LEAST_WIDTH } from "../charts/svg_parts";
import { integer } from "../model/format";
import { columnAt, isShown } from "../model/histogram_map";
import { mapTable } from "../model/histogram_table";
import { csvText } from "../model/table";
import { colourOf } from "../state/points";
import { distributionStep, takeBack } from "../state/cursor";
import { isReport } from "../state/report";
import { histogramMap, mapInView, stepsInView } from "../state/histogram_map";
import { cursor, focus, pinnedStep, theme } from "../state/signals";
import { ExportMenu } from "./export_menu";
import { MountChart } from "./mount_chart";

const answer = computed(() => histogramMap.value?.answer ?? null);

const data = computed<HistogramMapData | null>(() => {
  const map = answer.value;
  if (!map) return null;
  const step = distributionStep.value;
  const end = stepsInView.value?.[1] ?? null;
  return {
    map,
    colour: colourOf({ name: map.run }),
    marked: step !== null && isShown(map, step, end) ? step : null,
    theme: theme.value,
    label: `Magnitudes of gradients of ${map.run} at ${map.steps} steps, before and after clipping`,
  };
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
        {data.value && (map?.steps ?? 0) > 0 && (
          <span class="tools">
            <ExportMap />
          </span>
        )}
      </h2>
      {histogramMap.value && !map && (
        <p class="hint">{isReport ? ALL_ONLY : "It could not be read."}</p>
      )}
      {map?.steps === 0 && <p class="hint">No step in this part has a recorded distribution.</p>}
      <MountChart
        testId="chart-histogram-map"
        label="Distributions over time: arrow keys go to the next recorded step, a click pins a step, Escape takes the pin away"
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
    return histogramMapSvg(now, words, Math.max(chartWidth(), LEAST_WIDTH));
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

function show(step: number): void {
  cursor.value = null;
  pinnedStep.value = step;
}

/** Shows what was pressed; what is pinned already is let go. */
function press(step: number): void {
  if (pinnedStep.value === step) pinnedStep.value = null;
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
  const stop = effect(() => {
    const now = data.value;
    if (!now) return;
    if (chart) chart.update(now);
    else
      chart = new HistogramMapChart(element, now, {
        onPress: press,
        onStep: move,
        onEscape: takeBack,
      });
  });
  return () => {
    stop();
    observer.disconnect();
    mapInView.value = false;
    chart?.destroy();
  };
}
