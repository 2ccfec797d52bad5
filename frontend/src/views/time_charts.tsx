// Loss, gradient norm, clip rate and throttle over each other, with one cursor and one zoom.

import { batch, effect, type ReadonlySignal } from "@preact/signals";
import { TimeChart } from "../charts/time_chart";
import type { GestureHandlers } from "../charts/gestures";
import type { ChartData } from "../model/chart";
import { integer } from "../model/format";
import { lossChart, normChart } from "../state/chart_data";
import { lossIsLog, normIsLog } from "../state/points";
import {
  cursorStep,
  hover,
  openAlerts,
  pointAtMarker,
  pan,
  pinCursor,
  pinX,
  stepCursor,
  zoomAround,
} from "../state/cursor";
import { clipRateChart, someRunClips, throttleChart } from "../state/rate_charts";
import {
  cursor,
  groupedRuns,
  plotWidth,
  scales,
  shownRange,
  spans,
  theme,
  WHOLE_RUN,
  window,
  zoom,
  zoomTo,
  type ChartName,
} from "../state/signals";
import { GroupLegend } from "./grouping";
import { MountChart } from "./mount_chart";
import { Tooltip } from "./tooltip";

export function TimeCharts() {
  return (
    <section class="card time-charts" aria-label="Charts over time">
      <div class="panel">
        <h2>
          Loss <small>markers where training broke</small> <GroupLegend />
          <span class="tools">
            <MostToggle chart="loss" />
            <LogToggle chart="loss" on={lossIsLog.value} />
            <ResetZoom />
          </span>
        </h2>
        <Chart name="loss" label="Loss" data={lossChart} height={248} />
      </div>
      <div class="panel">
        <h2>
          Gradient norm <NormKey />
          <span class="tools">
            <MostToggle chart="norm" />
            <LogToggle chart="norm" on={normIsLog.value} />
          </span>
        </h2>
        <Chart name="norm" label="Gradient norm" data={normChart} height={186} />
      </div>
      <div class="panel">
        <h2>
          Clip rate{" "}
          <small>
            share of {windowWords(window.value)}
            {groupedRuns.value ? "" : ", 95 % band"}
          </small>{" "}
          <GroupLegend />
        </h2>
        <Chart name="clip-rate" label="Clip rate" data={clipRateChart} height={130} />
      </div>
      {someRunClips.value && <Throttle />}
    </section>
  );
}

function NormKey() {
  if (groupedRuns.value) {
    return (
      <>
        <small>after clipping</small> <GroupLegend />
      </>
    );
  }
  return (
    <small class="key">
      before <i class="dotted" /> after <i class="solid" />
    </small>
  );
}

function Throttle() {
  return (
    <div class="panel">
      <h2>
        Throttle <small>share of gradient length removed over {windowWords(window.value)}</small>{" "}
        <GroupLegend />
      </h2>
      <Chart name="throttle" label="Throttle" data={throttleChart} height={112} />
    </div>
  );
}

function windowWords(steps: number): string {
  return steps >= WHOLE_RUN ? "all steps so far" : `the last ${integer(steps)} steps`;
}

function LogToggle({ chart, on }: { readonly chart: "loss" | "norm"; readonly on: boolean }) {
  return (
    <button
      type="button"
      class="quiet"
      aria-pressed={on}
      data-testid={`log-${chart}`}
      onClick={() => (scales.value = { ...scales.value, [chart]: on ? "linear" : "log" })}
    >
      log
    </button>
  );
}

function MostToggle({ chart }: { readonly chart: "loss" | "norm" }) {
  const on = spans.value[chart] === "most";
  return (
    <button
      type="button"
      class="quiet"
      aria-pressed={on}
      title="Span the middle 98 % of the points; arrows at the edge show what lies beyond"
      data-testid={`most-${chart}`}
      onClick={() => (spans.value = { ...spans.value, [chart]: on ? "full" : "most" })}
    >
      most
    </button>
  );
}

function ResetZoom() {
  if (!zoom.value) return <span class="hint">drag to zoom</span>;
  return (
    <button type="button" class="quiet" data-testid="reset-zoom" onClick={() => zoomTo(null)}>
      reset zoom
    </button>
  );
}

interface ChartProps {
  readonly name: ChartName;
  readonly label: string;
  readonly data: ReadonlySignal<ChartData>;
  readonly height: number;
}

function Chart({ name, label, data, height }: ChartProps) {
  return (
    <div class="with-tooltip">
      <MountChart
        testId={`chart-${name}`}
        label={`${label}: arrow keys move the cursor, Enter pins it, Escape resets the zoom`}
        focusable
        mount={(element) => mountTimeChart(element, name, label, data, height)}
      />
      <Tooltip chart={name} />
    </div>
  );
}

function mountTimeChart(
  element: HTMLElement,
  name: ChartName,
  label: string,
  data: ReadonlySignal<ChartData>,
  height: number,
): () => void {
  const chart = new TimeChart(element, data.peek(), theme.peek(), {
    height,
    label,
    gestures: gesturesOf(name),
    markers: name === "loss",
    onMarkerHover: pointAtMarker,
    onMarkerPress: (pressed) => openAlerts(pressed.items),
    onWidth: (pixels) => (plotWidth.value = pixels),
  });
  const stops = [
    effect(() => chart.update(data.value, theme.value)),
    effect(() => chart.setCursor(cursor.value?.x ?? null)),
    effect(() => chart.setPin(pinX.value)),
    effect(() => {
      element.dataset["cursorStep"] = cursorStep.value === null ? "" : String(cursorStep.value);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    chart.destroy();
  };
}

function gesturesOf(name: ChartName): GestureHandlers {
  const at = (share: number): number => {
    const [low, high] = shownRange.value;
    return low + share * (high - low);
  };
  return {
    hover: (share) => hover(name, share),
    press: (share) =>
      batch(() => {
        hover(name, share);
        pinCursor();
      }),
    select: (from, to) => zoomTo([at(from), at(to)]),
    reset: () => zoomTo(null),
    zoom: zoomAround,
    pan,
    step: (pixels) => stepCursor(name, pixels),
    enter: pinCursor,
  };
}
