// One time chart in its place: fed from signals, its gestures told to the shared cursor and zoom.

import { batch, effect, type ReadonlySignal } from "@preact/signals";
import { drawSoon, forget } from "../charts/frames";
import type { GestureHandlers } from "../charts/gestures";
import { TimeChart } from "../charts/time_chart";
import type { ChartData } from "../model/chart";
import {
  cursorStep,
  hover,
  isOnPin,
  openAlerts,
  pointAtMarker,
  pan,
  pinCursor,
  pinX,
  showAll,
  stepCursor,
  takeBack,
  zoomAround,
} from "../state/cursor";
import { Drawn } from "../state/drawn";
import { shownLimit } from "../state/norm_limits";
import { cursor, plotWidth, shownRange, threshold, zoomTo, type ChartName } from "../state/signals";
import { chooseThreshold } from "../state/what_if";
import { MountChart } from "./mount_chart";
import { PIN_KEYS } from "./step_gestures";
import { Spoken, Tooltip } from "./tooltip";

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
        label={`${label}: arrow keys move the cursor, ${PIN_KEYS}`}
        focusable
        mount={(element) => mountTimeChart(element, name, label, data, height)}
      />
      <Tooltip chart={name} />
      <Spoken chart={name} />
    </div>
  );
}

const ON_LIMIT = {
  onLimit: chooseThreshold,
  onLimitReset: () => (threshold.value = null),
};

function mountTimeChart(
  element: HTMLElement,
  name: ChartName,
  label: string,
  data: ReadonlySignal<ChartData>,
  height: number,
): () => void {
  const drawn = new Drawn(name, data);
  const chart = new TimeChart(element, drawn.data, drawn.theme, {
    height,
    label,
    gestures: gesturesOf(name),
    markers: name === "loss" && {
      onHover: pointAtMarker,
      onPress: (pressed) => openAlerts(pressed.items),
    },
    ...(name === "norm" ? ON_LIMIT : {}),
    onWidth: (pixels) => (plotWidth.value = pixels),
  });
  const stops = [
    keepDrawn(chart, drawn),
    effect(() => chart.setCursor(cursor.value?.x ?? null)),
    effect(() => chart.setPin(pinX.value)),
    effect(() => chart.setLimit(name === "norm" ? shownLimit.value : null)),
    effect(() => {
      element.dataset["cursorStep"] = cursorStep.value === null ? "" : String(cursorStep.value);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    drawn.leave();
    forget(chart);
    chart.destroy();
  };
}

function keepDrawn(chart: TimeChart, drawn: Drawn): () => void {
  const takeTurn = (): void => {
    drawn.refresh();
    chart.update(drawn.data, drawn.theme);
  };
  return effect(() => {
    if (!drawn.isOutdated()) return;
    // While the tab opens, frames are late: the first lines are ready for the next one instead of drawn in it.
    if (drawn.isFirst()) takeTurn();
    else drawSoon(chart, takeTurn);
  });
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
        pinCursor(isOnPin(shownRange.value));
      }),
    select: (from, to) => zoomTo([at(from), at(to)]),
    reset: showAll,
    escape: takeBack,
    zoom: zoomAround,
    pan,
    step: (pixels) => stepCursor(name, pixels),
    enter: () => pinCursor(),
  };
}
