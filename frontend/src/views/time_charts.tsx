// Loss, gradient norm and clip rate over each other, with one cursor and one zoom.

import { batch, effect, type ReadonlySignal } from "@preact/signals";
import { TimeChart } from "../charts/time_chart";
import type { GestureHandlers } from "../charts/gestures";
import type { ChartData } from "../model/chart";
import { clipRateChart, lossChart, lossIsLog, normChart, normIsLog } from "../state/chart_data";
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
import {
  cursor,
  plotWidth,
  scales,
  shownRange,
  theme,
  window,
  zoom,
  zoomTo,
  type ChartName,
} from "../state/signals";
import { ExportTimeChart, windowWords } from "./export_time_chart";
import { MountChart } from "./mount_chart";
import { Tooltip } from "./tooltip";

export function TimeCharts() {
  return (
    <section class="card time-charts" aria-label="Charts over time">
      <div class="panel">
        <h2>
          Loss <small>markers where training broke</small>
          <span class="tools">
            <LogToggle chart="loss" on={lossIsLog.value} />
            <ResetZoom />
            <ExportTimeChart chart="loss" />
          </span>
        </h2>
        <Chart name="loss" label="Loss" data={lossChart} height={248} />
      </div>
      <div class="panel">
        <h2>
          Gradient norm{" "}
          <small class="key">
            before <i class="dotted" /> after <i class="solid" />
          </small>
          <span class="tools">
            <LogToggle chart="norm" on={normIsLog.value} />
            <ExportTimeChart chart="norm" />
          </span>
        </h2>
        <Chart name="norm" label="Gradient norm" data={normChart} height={186} />
      </div>
      <div class="panel">
        <h2>
          Clip rate <small>{windowWords(window.value)}, 95 % band</small>
          <span class="tools">
            <ExportTimeChart chart="clip-rate" />
          </span>
        </h2>
        <Chart name="clip-rate" label="Clip rate" data={clipRateChart} height={130} />
      </div>
    </section>
  );
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
