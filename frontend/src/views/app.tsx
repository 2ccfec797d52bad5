import { computed } from "@preact/signals";
import { isOpening } from "../state/points";
import { isReport, reportWords } from "../state/report";
import { failure, runs, selectedRuns } from "../state/signals";
import { Alerts } from "./alerts";
import { Distribution } from "./distribution";
import { Health } from "./health";
import { Parameters } from "./parameters";
import { Sidebar } from "./sidebar";
import { Empty, Failure, Loading, Nothing, ProblemsBanner, SampledBanner } from "./notices";
import { Suggestions } from "./suggestions";
import { TimeCharts } from "./time_charts";
import { WhatIf } from "./what_if";

// A small summary, so that a poll that only adds steps does not render the whole page again.
const stage = computed(() => {
  if (runs.value === null) return failure.value === null ? "loading" : "failed";
  if (runs.value.length === 0) return "empty";
  return selectedRuns.value.length === 0 ? "unselected" : "ready";
});

/** What lies below the charts, for which these do not wait. */
function Panels() {
  return (
    <>
      <Distribution />
      <div class="pairs">
        <WhatIf />
        <Suggestions />
      </div>
      <Parameters />
      <Alerts />
    </>
  );
}

export function App() {
  const now = stage.value;
  if (now === "loading") return <Loading />;
  if (now === "failed") return <Failure whole />;
  if (now === "empty") return <Empty />;
  return (
    <div class="app">
      <Sidebar />
      <main>
        <Failure />
        <ProblemsBanner />
        <SampledBanner />
        {now === "unselected" ? (
          <Nothing />
        ) : (
          <>
            <h1 class="unseen">Gradient clipping</h1>
            {isReport && <p class="report-words">{reportWords}</p>}
            <Health />
            <TimeCharts />
            {!isOpening.value && <Panels />}
          </>
        )}
      </main>
    </div>
  );
}
