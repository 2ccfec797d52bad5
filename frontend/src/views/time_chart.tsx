// One time chart in its place: fed from signals, its gestures told to the shared cursor and zoom.

import { batch, effect, type ReadonlySignal } from "@preact/signals";
import { drawSoon, forget } from "../charts/frames";
import type { GestureHandlers } from "../charts/gestures";
import { TimeChart } from "../charts/time_chart";
import type { ChartData } from "../model/chart";
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
import { chosenLimit } from "../state/norm_limits";
import { cursor, plotWidth, shownRange, theme, zoomTo, type ChartName } from "../state/signals";
import { chooseThreshold } from "../state/what_if";
import { MountChart } from "./mount_chart";
import { Tooltip } from "./tooltip";

interface ChartProps {
  readonly name: ChartName;
  readonly label: string;
  readonly data: ReadonlySignal<ChartData>;
  readonly height: number;
}

export function Chart({ name, label, data, height }: ChartProps) {
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
  let drawn = { data: data.peek(), colours: theme.peek() };
  const chart = new TimeChart(element, drawn.data, drawn.colours, {
    height,
    label,
    gestures: gesturesOf(name),
    markers: name === "loss",
    onMarkerHover: pointAtMarker,
    onMarkerPress: (pressed) => openAlerts(pressed.items),
    onLimit: chooseThreshold,
    onWidth: (pixels) => (plotWidth.value = pixels),
  });
  const stops = [
    effect(() => {
      const next = { data: data.value, colours: theme.value };
      if (next.data === drawn.data && next.colours === drawn.colours) return;
      drawn = next;
      drawSoon(chart, () => chart.update(next.data, next.colours));
    }),
    effect(() => chart.setCursor(cursor.value?.x ?? null)),
    effect(() => chart.setPin(pinX.value)),
    effect(() => chart.setLimit(name === "norm" ? chosenLimit.value : null)),
    effect(() => {
      element.dataset["cursorStep"] = cursorStep.value === null ? "" : String(cursorStep.value);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    forget(chart);
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
