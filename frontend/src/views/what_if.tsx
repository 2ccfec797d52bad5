// What another threshold would have done to the recorded gradients.

import { computed, effect } from "@preact/signals";
import { pageSvg } from "../charts/page_svg";
import { ThresholdChart, type ThresholdData } from "../charts/threshold_chart";
import { csvText } from "../model/table";
import {
  coverageWords,
  curveCells,
  nudged,
  outcomeWords,
  resolutionWords,
  ruleWords,
  thresholdAt,
} from "../model/what_if";
import { colourOf } from "../state/points";
import { isReport } from "../state/report";
import { focus, theme, threshold } from "../state/signals";
import {
  ownThreshold,
  shownOutcome,
  shownThreshold,
  thresholdRange,
  whatIf,
  whatIfAnswer,
  whatIfRange,
} from "../state/what_if";
import { ExportMenu } from "./export_menu";
import { Help } from "./help";
import { MountChart } from "./mount_chart";
import { NOT_RECORDED } from "./notices";
import { RunPicker } from "./run_picker";

export function WhatIf() {
  const known = whatIfAnswer.value;
  const first = whatIfRange.value?.[0] ?? focus.value?.first_step ?? 0;
  return (
    <section class="card what-if" aria-label="Threshold what-if">
      <h2>
        Threshold what-if{" "}
        <small data-testid="what-if-steps">{known ? coverageWords(known, first) : ""}</small>
        <span class="tools">
          <RunPicker of="what-if" testId="what-if-run" />
          <Clear />
          {emptyWords.value === null && <ExportWhatIf />}
          <Help of="what-if" />
        </span>
      </h2>
      <Contents />
    </section>
  );
}

function Contents() {
  const empty = emptyWords.value;
  if (empty !== null)
    return (
      <p class="hint" data-testid="what-if-empty">
        {empty}
      </p>
    );
  const outcome = shownOutcome.value;
  const rule = ruleWords(whatIfAnswer.value?.rule.kind ?? "");
  return (
    <>
      <p class="words">
        <span class="key">
          <i class="solid" style={{ color: colourOf({ name: focus.value?.name ?? "" }) }} /> clip
          rate <i class="dashed" /> throttle
        </span>
        <b data-testid="what-if-words">{outcome ? outcomeWords(outcome) : ""}</b>
      </p>
      {rule !== null && <p class="words soft">{rule}</p>}
      {isReport && <p class="words soft">{resolutionWords(whatIfAnswer.value)}</p>}
      <MountChart
        testId="chart-what-if"
        label="Clip rate and throttle by threshold"
        mount={mountThresholds}
      />
    </>
  );
}

function ExportWhatIf() {
  const picture = (): string => {
    const drawn = document.querySelector("[data-testid=chart-what-if] svg");
    const [known, outcome] = [whatIfAnswer.value, shownOutcome.value];
    const key = "solid: share of steps clipped, dashed: throttle";
    const lines = [
      known?.run ?? "",
      [key, outcome && outcomeWords(outcome)].filter(Boolean).join("; "),
    ];
    return drawn ? pageSvg(drawn, { title: "Threshold what-if", lines }, theme.value) : "";
  };
  const cells = (): Blob => {
    const known = whatIfAnswer.value;
    return new Blob([known ? csvText(curveCells(known)) : ""], { type: "text/csv" });
  };
  return <ExportMenu name="what-if" label="Threshold what-if" svg={picture} csv={cells} />;
}

function Clear() {
  if (threshold.value === null) return null;
  return (
    <button
      type="button"
      class="quiet"
      data-testid="clear-threshold"
      title="Take the line off the gradient norm chart"
      onClick={() => (threshold.value = null)}
    >
      clear
    </button>
  );
}

/** Why there is nothing to draw; null where there is. */
const emptyWords = computed<string | null>(() => {
  if (!focus.value) return NOT_RECORDED;
  const shown = whatIf.value;
  if (shown && "error" in shown) return shown.error;
  const known = whatIfAnswer.value;
  if (!known) return "reading…";
  if (known.steps === 0) {
    return whatIfRange.value
      ? "No step in view has a finite gradient norm."
      : "No step of this run has a finite gradient norm.";
  }
  if (known.thresholds.length === 0) {
    return "Every gradient here is zero: no threshold would change anything.";
  }
  return null;
});

const data = computed<ThresholdData | null>(() => {
  const curve = whatIfAnswer.value;
  const [range, outcome] = [thresholdRange.value, shownOutcome.value];
  if (!curve || !range || !outcome) return null;
  return {
    curve,
    range,
    now: ownThreshold.value,
    handle: outcome.threshold,
    rate: outcome.clip_rate ?? 0,
    spoken: outcomeWords(outcome),
    label: `Clip rate and throttle of ${curve.run} by threshold`,
    colour: colourOf({ name: curve.run }),
  };
});

function mountThresholds(element: HTMLElement): () => void {
  let chart: ThresholdChart | null = null;
  const move = (next: (at: number, range: readonly [number, number]) => number): void => {
    const [at, range] = [shownThreshold.peek(), thresholdRange.peek()];
    if (at !== null && range) threshold.value = next(at, range);
  };
  const stop = effect(() => {
    void theme.value; // colours of runs depend on it
    if (!data.value) return;
    if (chart) chart.update(data.value);
    else {
      chart = new ThresholdChart(element, data.value, {
        onMove: (share) => move((_, range) => thresholdAt(share, range)),
        onStep: (presses) => move((at, range) => nudged(at, range, presses)),
        onReset: () => (threshold.value = null),
      });
    }
  });
  return () => {
    stop();
    chart?.destroy();
  };
}
