// The timeline of one alert: norms of the parameters around it, and the order in which they left their past.

import { effect } from "@preact/signals";
import { drawSoon, forget } from "../charts/frames";
import { TimeChart } from "../charts/time_chart";
import { leadWords, orderWords, timesWords } from "../model/blame";
import { integer, number, plural } from "../model/format";
import { alertTitle } from "../model/health";
import {
  blame,
  blameChart,
  blameRow,
  notInTimeline,
  openAlert,
  timelineFailure,
  type ShownBlame,
} from "../state/alerts";
import { closeAlert, cursorStep } from "../state/cursor";
import { pick } from "../state/parameters";
import { pickedParameter, theme } from "../state/signals";
import { ExportBlame } from "./export_norms";
import { MountChart } from "./mount_chart";
import { PIN_KEYS, stepGestures } from "./step_gestures";

export function Blame() {
  const alert = openAlert.value;
  if (!alert) {
    return (
      <p class="hint blame" data-testid="blame-hint">
        Select an alert: the charts zoom to the steps around it, and this shows which parameters
        went first.
      </p>
    );
  }
  const failed = timelineFailure.value;
  return (
    <div class="blame" data-testid="blame" data-step={alert.step}>
      <h2>
        <span class={`word ${alert.severity}`}>{alertTitle(alert.kind)}</span> step{" "}
        {integer(alert.step)}{" "}
        <small>
          <bdi>{alert.run}</bdi>
        </small>
        <span class="tools">
          {failed === null && blameChart.value && <ExportBlame />}
          <button type="button" class="quiet" data-testid="close-alert" onClick={closeAlert}>
            back to the whole run
          </button>
        </span>
      </h2>
      {failed !== null ? (
        <p class="hint" data-testid="no-timeline">
          {failed}
        </p>
      ) : blameChart.value ? (
        <Timeline order={orderWords(alert.kind, alert.departures)} />
      ) : (
        <p class="hint">reading…</p>
      )}
    </div>
  );
}

function Timeline({ order }: { readonly order: string }) {
  const lines = blame.value ?? [];
  const others = lines.filter((line) => !line.stands_out);
  const left = notInTimeline.value;
  return (
    <>
      <p data-testid="blame-order">{order}</p>
      <MountChart
        testId="chart-blame"
        label={`Norms around the alert over what they were before: arrow keys move the cursor, ${PIN_KEYS}`}
        focusable
        mount={mountBlame}
      />
      <p class="words soft">
        norm before clipping, over its own median before
        {others.length > 0 && `; grey: ${plural(others.length, "other")} for comparison`}
        {left > 0 && `; ${integer(left)} more not shown`}
      </p>
      <ol class="departures">
        {lines.map((line) => (
          <Departure key={line.name} line={line} />
        ))}
      </ol>
    </>
  );
}

function Departure({ line }: { readonly line: ShownBlame }) {
  const row = blameRow.value;
  const picked = pickedParameter.value === line.name;
  return (
    <li data-testid="departure" data-parameter={line.name}>
      <i class="swatch" style={{ background: line.colour, opacity: line.stands_out ? 1 : 0.75 }} />
      <button
        type="button"
        class="cut"
        aria-pressed={picked}
        title={`${line.name}: show its distribution and its norm`}
        onClick={() => pick(line.name)}
      >
        <bdi>{line.name}</bdi>
      </button>
      <span class="soft">
        {line.lead === null ? "share within its past" : leadWords(line.lead)}
      </span>
      <span class="value">{atCursor(line, row)}</span>
    </li>
  );
}

/** At the cursor if that is in the timeline, else the most it came to. */
function atCursor(line: ShownBlame, row: number | null): string {
  if (row !== null)
    return `${number(line.norms[row] ?? NaN)}, ${timesWords(line.ratio[row] ?? NaN)}`;
  const most = line.ratio.reduce((top, ratio) => (ratio > top ? ratio : top), -Infinity);
  return most > 0 ? `up to ${timesWords(most)}` : "never finite";
}

function mountBlame(element: HTMLElement): () => void {
  const data = blameChart.peek();
  if (!data) return () => undefined;
  const chart = new TimeChart(element, data, theme.peek(), {
    height: 190,
    label: "Norms of parameters around the alert, over their median before",
    markers: true,
    gestures: stepGestures("blame", () => blameChart.value?.xRange ?? [0, 1]),
  });
  const stops = [
    effect(() => {
      const [now, colours] = [blameChart.value, theme.value];
      if (now) drawSoon(chart, () => chart.update(now, colours));
    }),
    effect(() => chart.setCursor(cursorStep.value)),
  ];
  return () => {
    for (const stop of stops) stop();
    forget(chart);
    chart.destroy();
  };
}
