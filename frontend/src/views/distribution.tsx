// How large single gradients were before and after clipping, at the cursor's step.

import { computed, effect } from "@preact/signals";
import type { Histogram, Rule, Run } from "../api";
import { pageSvg } from "../charts/page_svg";
import { DistributionChart, type DistributionData } from "../charts/distribution_chart";
import { distanceWords } from "../model/alerts";
import { integer } from "../model/format";
import { histogramTable } from "../model/histogram_table";
import { clamp } from "../model/ranges";
import { csvText } from "../model/table";
import { clippingWords, tallyWords, turnWords } from "../model/words";
import { openAlert } from "../state/alerts";
import { takeBack } from "../state/cursor";
import { colourOf } from "../state/points";
import { hasParameterDistributions } from "../state/report";
import {
  cursor,
  focus,
  histogram,
  parameter,
  pickedParameter,
  pinnedStep,
  recordedRuns,
  theme,
} from "../state/signals";
import { ExportMenu } from "./export_menu";
import { Help } from "./help";
import { HistogramMapPanel } from "./histogram_map";
import { MountChart } from "./mount_chart";
import { NotRecorded } from "./notices";
import { RunPicker } from "./run_picker";

const anyRecorded = computed(() => recordedRuns.value.length > 0);

const answer = computed<Histogram | null>(() => {
  const shown = histogram.value;
  return shown && !("error" in shown) ? shown.answer : null;
});

/** How far the step shown is from the alert that is looked at. */
const distance = computed<string>(() => {
  const [shown, alert] = [answer.value, openAlert.value];
  return shown && alert?.run === shown.run ? distanceWords(shown.step, alert) : "";
});

export function Distribution() {
  if (!anyRecorded.value) {
    return (
      <section class="card" aria-label="Distribution">
        <h2>Distribution</h2>
        <NotRecorded />
      </section>
    );
  }
  return <Recorded />;
}

function Recorded() {
  const shown = answer.value;
  const failed = histogram.value && "error" in histogram.value ? histogram.value.error : null;
  return (
    <section
      class={`card distribution ${failed === null ? "roomy" : ""}`}
      aria-label="Distribution"
    >
      <h2>
        Distribution{" "}
        <small data-testid="distribution-step">{shown ? `step ${integer(shown.step)}` : ""}</small>
        <small data-testid="distribution-distance">{distance.value}</small>
        <span class="tools">
          <Pickers />
          <Steps shown={shown} />
          {shown && <ExportDistribution shown={shown} />}
          <Help of="distribution" />
        </span>
      </h2>
      <div class="beside">
        <div>
          {failed !== null && <p class="hint">{failed}</p>}
          {histogram.value === null && <p class="hint">reading…</p>}
          {shown && <Shown shown={shown} />}
        </div>
        <HistogramMapPanel />
      </div>
    </section>
  );
}

function Shown({ shown }: { readonly shown: Histogram }) {
  const fill = { background: colourOf({ name: shown.run }) };
  return (
    <>
      <p class="words">
        <span class="key">
          <i class="dashed" /> before <i class="filled" style={fill} /> after
        </span>
        <span data-testid="clipping-words">
          {[clippingWords(shown), turnWords(shown.cosine)].filter(Boolean).join("; ")}
        </span>
      </p>
      <p class="words soft" data-testid="tally">
        {tallyWords(shown.before).map(({ text, bad }) => (
          <span key={text} class={bad ? "word error" : ""}>
            {text}
          </span>
        ))}
      </p>
      <MountChart
        testId="chart-distribution"
        label="Distribution of gradients: arrow keys go to the previous and next recorded step, with Shift ten of them, Escape takes the pin away, then the zoom"
        focusable
        mount={mountDistribution}
      />
    </>
  );
}

function ExportDistribution({ shown }: { readonly shown: Histogram }) {
  const picture = (): string => {
    const drawn = document.querySelector("[data-testid=chart-distribution] svg");
    const of = [shown.run, shown.parameter ?? "all parameters", `step ${integer(shown.step)}`];
    const key = "dashed: before clipping, filled: after";
    const lines = [of.join(", "), [key, clippingWords(shown)].join("; ")];
    return drawn ? pageSvg(drawn, { title: "Distribution of gradients", lines }, theme.value) : "";
  };
  const table = (): Blob => new Blob([csvText(histogramTable(shown))], { type: "text/csv" });
  return <ExportMenu name="distribution" label="Distribution" svg={picture} csv={table} />;
}

function go(step: number | null | undefined): void {
  if (step == null) return;
  cursor.value = null;
  pinnedStep.value = step;
}

/**
 * So many recorded steps before or after the one shown. Only those next to it are known, so that further ones are as far
 * as if all were; the server takes the one at or before, and at the ends of a run its first or its last.
 */
function neighbour(direction: number, steps: number): number | null {
  const shown = answer.peek();
  const next = direction < 0 ? shown?.previous_step : shown?.next_step;
  if (!shown || next == null) return null;
  const [first, last] = [focus.peek()?.first_step ?? 0, focus.peek()?.last_step ?? Infinity];
  return clamp(shown.step + steps * (next - shown.step), first, Math.max(last, next));
}

function Steps({ shown }: { readonly shown: Histogram | null }) {
  const button = (label: string, text: string, step: number | null | undefined) => (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      title={label}
      disabled={step == null}
      onClick={() => go(step)}
    >
      {text}
    </button>
  );
  return (
    <span class="steps">
      {button("Previous recorded step", "◂", shown?.previous_step)}
      step
      {button("Next recorded step", "▸", shown?.next_step)}
    </span>
  );
}

function Pickers() {
  const run = focus.value;
  return (
    <>
      <RunPicker of="distribution" testId="distribution-run" />
      {run && hasParameterDistributions(run.name) && <ParameterPicker run={run} />}
    </>
  );
}

function ParameterPicker({ run }: { readonly run: Run }) {
  return (
    <select
      title={pickedParameter.value ?? undefined}
      aria-label="Parameter of the distribution"
      data-testid="distribution-parameter"
      value={pickedParameter.value ?? ""}
      onChange={(event) => (parameter.value = event.currentTarget.value || null)}
    >
      <option value="">all parameters</option>
      {run.parameters.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

const data = computed<DistributionData | null>(() => {
  const shown = answer.value;
  if (!shown) return null;
  const { before, after, rule, run, step } = shown;
  return {
    before,
    after,
    limits: limitsOf(rule),
    finite: before.size - before.nan - before.positive_infinity - before.negative_infinity,
    colour: colourOf({ name: run }),
    label: `Distribution of gradients of ${run} at step ${step}, before and after clipping`,
  };
});

/** Only a rule on values cuts at a place on this axis; a norm has none. */
function limitsOf(rule: Rule): readonly number[] {
  if (rule.kind !== "value") return [];
  const low = rule.low ?? (rule.threshold === null ? null : -rule.threshold);
  const high = rule.high ?? rule.threshold;
  return [low, high].filter((limit) => limit !== null);
}

function mountDistribution(element: HTMLElement): () => void {
  let chart: DistributionChart | null = null;
  const keys = (event: KeyboardEvent): void => {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (direction !== undefined) go(neighbour(direction, event.shiftKey ? 10 : 1));
    else if (event.key === "Escape") takeBack();
    else return;
    event.preventDefault();
  };
  element.addEventListener("keydown", keys);
  const stop = effect(() => {
    void theme.value; // colours of runs depend on it
    if (!data.value) return;
    if (chart) chart.update(data.value);
    else chart = new DistributionChart(element, data.value, { height: 220 });
  });
  return () => {
    stop();
    element.removeEventListener("keydown", keys);
    chart?.destroy();
  };
}
