import type { Run } from "../api";
import { integer } from "../model/format";
import { WHOLE_RUN } from "../model/link";
import { colourOf } from "../state/points";
import { isReport } from "../state/report";
import {
  axis,
  filter,
  listedRuns,
  lossChoice,
  lossTag,
  runs,
  search,
  selectedNames,
  selectedRuns,
  selectListed,
  selectOnly,
  setAxis,
  smoothing,
  toggleRun,
  window,
} from "../state/signals";
import { Choice } from "./choice";
import { GroupingField } from "./grouping";

export function Sidebar() {
  return (
    <aside aria-label="Runs and settings">
      <SearchField />
      <RunList />
      <GroupingField />
      <AxisChoice />
      <Smoothing />
      {!isReport && <WindowChoice />}
      {!isReport && <LossScalar />}
      <Completeness />
    </aside>
  );
}

function WindowChoice() {
  return (
    <section>
      <h3>Clip-rate window</h3>
      <Choice
        name="window"
        label="Steps that the clip rate looks back over"
        options={[
          [20, "20"],
          [100, "100"],
          [1000, "1000"],
          [WHOLE_RUN, "run"],
        ]}
        value={window.value}
        onChange={(steps) => (window.value = steps)}
      />
    </section>
  );
}

function AxisChoice() {
  return (
    <section>
      <h3>Horizontal axis</h3>
      <Choice
        name="axis"
        label="Horizontal axis"
        options={[
          ["step", "Step"],
          ["relative", "Relative"],
          ["wall_time", "Wall"],
        ]}
        value={axis.value}
        onChange={setAxis}
      />
    </section>
  );
}

function SearchField() {
  const { error } = filter.value;
  return (
    <section class="search">
      <input
        type="search"
        aria-label="Search runs by regular expression"
        placeholder="Search runs (regex)"
        spellcheck={false}
        value={search.value}
        aria-invalid={error !== null}
        aria-describedby="search-error"
        data-testid="search"
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      <p id="search-error" class="hint" role="status">
        {error}
      </p>
    </section>
  );
}

function RunList() {
  const listed = listedRuns.value;
  const selected = selectedNames.value;
  const count = listed.filter((run) => selected.has(run.name)).length;
  const all = listed.length > 0 && count === listed.length;
  return (
    <section class={listed.length > 5 ? "runs many" : "runs"}>
      <h3>
        Runs
        <span class="count">
          {count} of {listed.length}
        </span>
        <button type="button" class="quiet" onClick={() => selectListed(!all)}>
          {all ? "none" : "all"}
        </button>
      </h3>
      <ul>
        {listed.map((run) => (
          <RunRow key={run.name} run={run} selected={selected.has(run.name)} />
        ))}
      </ul>
      {listed.length === 0 && <p class="hint">No run has such a name.</p>}
    </section>
  );
}

function RunRow({ run, selected }: { readonly run: Run; readonly selected: boolean }) {
  const errors = run.alerts.filter((alert) => alert.severity === "error").length;
  const steps = run.recorded
    ? `${integer(run.steps)} steps`
    : `${integer(run.steps)} points of a scalar`;
  return (
    <li class={selected ? "run" : "run off"} data-testid="run" data-run={run.name}>
      <input
        type="checkbox"
        aria-label={`Show ${run.name}`}
        checked={selected}
        style={{ "--colour": colourOf(run) }}
        onChange={() => toggleRun(run.name)}
      />
      <i class="swatch" style={{ background: colourOf(run) }} />
      <button
        type="button"
        class="name"
        title={`${run.name}\n${steps} · click to see it alone`}
        aria-label={`Show only ${run.name}`}
        onClick={() => selectOnly(run.name)}
      >
        {/* The end of a name tells runs apart, so the start is cut; <bdi> keeps its order. */}
        <bdi>{run.name}</bdi>
      </button>
      {!run.recorded && <ScalarsOnly />}
      {errors > 0 && (
        <span class="alert" role="img" aria-label="has errors" title={`${errors} alerts`}>
          ▲
        </span>
      )}
    </li>
  );
}

export function ScalarsOnly() {
  return (
    <small class="scalars-only" title="No gradients were recorded in this run">
      scalars only
    </small>
  );
}

function LossScalar() {
  const options = lossChoice.value;
  if (!options) return null;
  return (
    <section>
      <h3>
        <label for="loss-scalar">Loss scalar</label>
      </h3>
      <select
        id="loss-scalar"
        data-testid="loss-scalar"
        title="Runs that have this scalar show it as their loss"
        value={lossTag.value ?? ""}
        onChange={(event) => (lossTag.value = event.currentTarget.value || null)}
      >
        {options.map(({ tag, text }) => (
          <option key={text} value={tag ?? ""}>
            {text}
          </option>
        ))}
      </select>
    </section>
  );
}

function Smoothing() {
  const value = smoothing.value;
  return (
    <section>
      <h3>
        <label for="smoothing">Smoothing</label>
        <output class="count" for="smoothing">
          {value === 0 ? "off" : value.toFixed(2)}
        </output>
      </h3>
      <input
        id="smoothing"
        type="range"
        min="0"
        max="0.99"
        step="0.01"
        value={value}
        style={{ "--filled": `${(value / 0.99) * 100}%` }}
        onInput={(event) => (smoothing.value = event.currentTarget.valueAsNumber)}
      />
    </section>
  );
}

function Completeness() {
  const selected = selectedRuns.value.length > 0 ? selectedRuns.value : (runs.value ?? []);
  const shown = selected.filter((run) => run.recorded && !run.imported);
  if (shown.length === 0) return null;
  const complete = shown.filter((run) => run.complete).length;
  return (
    <footer data-testid="completeness">
      Every step recorded: {complete} of {shown.length} {shown.length === 1 ? "run" : "runs"}
    </footer>
  );
}
