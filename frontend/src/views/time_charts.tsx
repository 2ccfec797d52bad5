// Loss, gradient norm, clip rate and throttle over each other, with one cursor and one zoom.

import { computed } from "@preact/signals";
import { integer } from "../model/format";
import { lossChart, normChart } from "../state/chart_data";
import { lossIsLog, normIsLog } from "../state/points";
import { clipRateChart, someRunClips, throttleChart } from "../state/rate_charts";
import { groupedRuns, recordedRuns, WHOLE_RUN, window } from "../state/signals";
import { zclipShown } from "../state/what_if";
import { LogToggle, MostToggle, ResetZoom, ZClipToggle } from "./chart_tools";
import { GroupLegend } from "./grouping";
import { Help } from "./help";
import { NotRecorded } from "./notices";
import { Chart } from "./time_chart";

const anyRecorded = computed(() => recordedRuns.value.length > 0);

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
            <Help of="loss" />
          </span>
        </h2>
        <Chart name="loss" label="Loss" data={lossChart} height={248} />
      </div>
      {anyRecorded.value ? <GradientCharts /> : <NoGradientCharts />}
    </section>
  );
}

function NoGradientCharts() {
  return (
    <div class="panel">
      <h2>Gradient norm, clip rate</h2>
      <NotRecorded />
    </div>
  );
}

function GradientCharts() {
  return (
    <>
      <div class="panel">
        <h2>
          Gradient norm <NormKey />
          <span class="tools">
            <ZClipToggle />
            <MostToggle chart="norm" />
            <LogToggle chart="norm" on={normIsLog.value} />
            <Help of="norm" />
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
          <span class="tools">
            <Help of="clip-rate" />
          </span>
        </h2>
        <Chart name="clip-rate" label="Clip rate" data={clipRateChart} height={130} />
      </div>
      {someRunClips.value && <Throttle />}
    </>
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
      {zclipShown.value && (
        <>
          ZClip <i class="zclip" />
        </>
      )}
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
