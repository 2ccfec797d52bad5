// The norm of the picked parameter over the windows shown.

import { effect } from "@preact/signals";
import { TimeChart } from "../charts/time_chart";
import { finePercent, integer, number } from "../model/format";
import { amount, windowAt } from "../model/heatmap";
import { cursorStep } from "../state/cursor";
import { heatRange, pickedChart, table } from "../state/parameters";
import { parameter, pickedParameter, theme } from "../state/signals";
import { ExportPicked } from "./export_norms";
import { MountChart } from "./mount_chart";
import { PIN_KEYS, stepGestures } from "./step_gestures";

export function Picked() {
  const name = pickedParameter.value;
  if (name === null || !pickedChart.value) return null;
  return (
    <div class="picked" data-testid="picked" data-parameter={name}>
      <h2>
        <span class="cut" title={name}>
          <bdi>{name}</bdi>
        </span>{" "}
        <small>norm before clipping: mean and, shaded, up to the largest</small>
        <small data-testid="picked-readout">
          <b>{readout()}</b>
        </small>
        <span class="tools">
          <ExportPicked />
          <button type="button" class="quiet" onClick={() => (parameter.value = null)}>
            show all parameters
          </button>
        </span>
      </h2>
      <MountChart
        testId="chart-picked"
        label={`Norm of ${name}: arrow keys move the cursor, ${PIN_KEYS}`}
        focusable
        mount={mountPicked}
      />
    </div>
  );
}

function readout(): string {
  const [known, step] = [table.value, cursorStep.value];
  const p = known?.parameters.indexOf(pickedParameter.value ?? "") ?? -1;
  const w = known && step !== null ? windowAt(known, step) : -1;
  if (!known || p < 0 || w < 0) return "";
  const norm = number(amount(known, "norm", p, w));
  const first = integer(known.first_step[w] as number);
  return `from step ${first}: ${norm}, ${finePercent(amount(known, "share", p, w))} of the squared norm`;
}

function mountPicked(element: HTMLElement): () => void {
  const data = pickedChart.peek();
  if (!data) return () => undefined;
  const chart = new TimeChart(element, data, theme.peek(), {
    height: 120,
    label: "Norm of the picked parameter",
    gestures: stepGestures("picked", () => heatRange.value),
  });
  const stops = [
    effect(() => {
      if (pickedChart.value) chart.update(pickedChart.value, theme.value);
    }),
    effect(() => chart.setCursor(cursorStep.value)),
  ];
  return () => {
    for (const stop of stops) stop();
    chart.destroy();
  };
}
