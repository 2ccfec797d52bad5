// Loss, gradient norm, clip rate and throttle over each other, with one cursor and one zoom.

import { computed } from "@preact/signals";
import { lossChart, normChart } from "../state/chart_data";
import { lossIsLog, normIsLog } from "../state/points";
import { clipRateChart, someRunClips, throttleChart, windowWords } from "../state/rate_charts";
import { groupedRuns, recordedRuns } from "../state/signals";
import { zclipShown } from "../state/what_if";
import { LogToggle, MostToggle, ResetZoom, ZClipToggle } from "./chart_tools";
import { ExportTimeChart } from "./export_time_chart";
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
            <ExportTimeChart chart="loss" />
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
            <ExportTimeChart chart="norm" />
            <Help of="norm" />
          </span>
        </h2>
        <Chart name="norm" label="Gradient norm" data={normChart} height={186} />
      </div>
      <div class="panel">
        <h2>
          Clip rate{" "}
          <small>
            share of {windowWords.value}
            {groupedRuns.value ? "" : ", 95 % band"}
          </small>{" "}
          <GroupLegend />
          <span class="tools">
            <ExportTimeChart chart="clip-rate" />
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
        Throttle <small>share of gradient length removed over {windowWords.value}</small>{" "}
        <GroupLegend />
        <span class="tools">
          <ExportTimeChart chart="throttle" />
          <Help of="throttle" />
        </span>
      </h2>
      <Chart name="throttle" label="Throttle" data={throttleChart} height={112} />
    </div>
  );
}
