// The heatmap in its place, what moves in it, and what it says at the cursor.

import { batch, effect } from "@preact/signals";
import { Heatmap } from "../charts/heatmap";
import type { GestureHandlers } from "../charts/gestures";
import { clamp } from "../model/ranges";
import { cursorStep, pinCursor, pointAtStep } from "../state/cursor";
import {
  heatmap,
  heatPlace,
  heatRange,
  heatReadout,
  heatRow,
  pick,
  pointedRow,
  shownRows,
} from "../state/parameters";
import { cursor, parameter, pinnedStep, theme } from "../state/signals";
import { MountChart } from "./mount_chart";
import { isOnPinIn, stepGestures } from "./step_gestures";

export function HeatmapPlace() {
  return (
    <div class="with-tooltip">
      <MountChart
        testId="chart-parameters"
        class="heatmap"
        label="Parameters over steps: up and down move between parameters, left and right move the cursor, Enter picks and pins, Escape takes the pin away"
        focusable
        mount={mountHeatmap}
      />
      <HeatTooltip />
      <p class="unseen" role="status">
        {heatReadout.value && [heatReadout.value.name, ...heatReadout.value.lines].join(", ")}
      </p>
    </div>
  );
}

function HeatTooltip() {
  const [said, place] = [heatReadout.value, heatPlace.value];
  if (!said || !place) return null;
  return (
    <div
      class={`tooltip at-cell ${place.y > 130 ? "above" : "below"} ${place.side}`}
      style={{ left: `${place.x}px`, top: `${place.y}px` }}
      role="tooltip"
      data-testid="heat-tooltip"
    >
      <b>
        <bdi>{said.name}</bdi>
      </b>
      <p class="soft">{said.title}</p>
      {said.lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
    </div>
  );
}

function mountHeatmap(element: HTMLElement): () => void {
  let chart: Heatmap | null = null;
  const stops = [
    effect(() => {
      const data = heatmap.value;
      if (!data) return;
      if (chart) chart.update(data, theme.value);
      else {
        chart = new Heatmap(element, data, theme.value, {
          label: "Parameters over steps",
          gestures: GESTURES,
          onRow: (row) => (heatRow.value = row),
          onRowStep: stepRow,
          onPick: (row) => pick(shownRows.peek()[row]?.name ?? ""),
          onPlace: (place) => (heatPlace.value = place),
        });
      }
    }),
    effect(() => chart?.setCursor(cursorStep.value)),
    effect(() => chart?.setRow(heatRow.value, document.activeElement === element)),
    effect(() => {
      element.dataset["cursorStep"] = cursorStep.value === null ? "" : String(cursorStep.value);
      element.dataset["row"] = pointedRow.value?.name ?? "";
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    chart?.destroy();
  };
}

const ON_STEPS = stepGestures("parameters", () => heatRange.value);
const GESTURES: GestureHandlers = {
  ...ON_STEPS,
  press: (share) =>
    batch(() => {
      ON_STEPS.hover(share);
      pickRow(isOnPinIn(heatRange.peek()));
    }),
  enter: () => pickRow(cursorStep.peek() === pinnedStep.peek()),
};

/** Pins the cursor and picks the row that is pointed at; takes the pin away where both were done before. */
function pickRow(isPinned: boolean): void {
  const name = pointedRow.peek()?.name ?? null;
  batch(() => {
    pinCursor(isPinned && (name === null || name === parameter.peek()));
    if (name !== null) parameter.value = name;
  });
}

function stepRow(rows: number): void {
  const last = shownRows.peek().length - 1;
  if (last < 0) return;
  batch(() => {
    heatRow.value = clamp((heatRow.peek() ?? (rows > 0 ? -1 : last + 1)) + rows, 0, last);
    if (cursor.peek()?.chart === "parameters") return;
    const [low, high] = heatRange.peek();
    pointAtStep("parameters", cursorStep.peek() ?? Math.round((low + high) / 2));
  });
}
