// What is shown instead of charts, or above them, when something is missing.

import { useLayoutEffect, useRef } from "preact/hooks";
import { plotWidthIn } from "../charts/time_chart";
import { plural } from "../model/format";
import { loadRuns } from "../state/effects";
import { isReport } from "../state/report";
import { failure, plotWidth, recordedRuns, problems } from "../state/signals";
import { Copy } from "./copy";

const MOST_PROBLEMS = 20;

const EXAMPLE = `from tb_gradclip.torch import ClipWriter

writer = ClipWriter("runs/lstm", model)
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    writer.clip_grad_norm_(model.parameters(), max_norm=0.25)
    optimizer.step()
    writer.step(loss)`;

/** The page without anything in it. The width of its chart is known before the runs are, which asks for lines early. */
export function Loading() {
  const chart = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (chart.current) plotWidth.value = plotWidthIn(chart.current);
  }, []);
  return (
    <div class="app">
      <aside />
      <main>
        <section class="card">
          <div ref={chart}>
            <div class="notice" role="status" data-testid="loading">
              <div class="spinner" />
              <p>Reading runs…</p>
            </div>
          </div>
        </section>
      </main>
    </div>
  );
}

export function Failure({ whole = false }: { readonly whole?: boolean }) {
  const text = failure.value;
  if (text === null) return null;
  return (
    <div class={whole ? "notice" : "banner bad"} role="alert" data-testid="error">
      {whole && <h1>The data could not be read</h1>}
      <p>{text}</p>
      {!isReport && (
        <button type="button" class="action" onClick={() => void loadRuns()}>
          Try again
        </button>
      )}
    </div>
  );
}

function Example() {
  const code = useRef<HTMLPreElement>(null);
  return (
    <div class="code">
      <pre ref={code} tabIndex={0} role="group" aria-label="How to record">
        {EXAMPLE}
      </pre>
      <Copy
        text={EXAMPLE}
        label="Copy how to record"
        testId="copy-example"
        class="action"
        source={() => code.current}
      />
    </div>
  );
}

export const NOT_RECORDED = "No gradients were recorded in the selected runs.";

/** In place of what is drawn from gradients, while no selected run has any. */
export function NotRecorded() {
  return (
    <div class="not-recorded" data-testid="not-recorded">
      <p>{NOT_RECORDED}</p>
      <details>
        <summary>How to record them</summary>
        <Example />
      </details>
    </div>
  );
}

export function Empty() {
  return (
    <div class="notice" data-testid="empty">
      <h1>No gradient clipping recorded yet</h1>
      <p>
        Clip through a <code>ClipWriter</code> instead of <code>torch.nn.utils</code>: same
        arguments, same result, and this page fills itself while the model trains.
      </p>
      <Example />
      <p class="soft">
        TensorFlow and Keras have the same in <code>tb_gradclip.tensorflow</code> and{" "}
        <code>tb_gradclip.keras</code>. If you did record, check that TensorBoard looks at that
        directory; this page asks again every ten seconds.
      </p>
    </div>
  );
}

export function Nothing() {
  return (
    <div class="notice" data-testid="no-selection">
      <h1>No run selected</h1>
      <p>Check a run in the list, or click its name to see it alone.</p>
    </div>
  );
}

/** What could not be read, whether its run is selected or not even there. */
export function ProblemsBanner() {
  const all = problems.value;
  if (all.length === 0) return null;
  const concerned = new Set(all.map(({ run }) => run)).size;
  return (
    <details class="banner warn" data-testid="problems">
      <summary>
        <b>Of {plural(concerned, "run")} not everything could be read.</b> What could is shown.
      </summary>
      <ul>
        {all.slice(0, MOST_PROBLEMS).map(({ run, problem }) => (
          <li key={`${run} ${problem}`}>
            <bdi class="run-name">{run}</bdi>: {problem}.
          </li>
        ))}
        {all.length > MOST_PROBLEMS && <li>and {all.length - MOST_PROBLEMS} more</li>}
      </ul>
    </details>
  );
}

/** Runs that miss steps for no other reason: it must be the sampling. */
export function SampledBanner() {
  const broken = new Set(problems.value.map(({ run }) => run));
  const sampled = recordedRuns.value.filter((run) => !run.complete && !broken.has(run.name));
  if (sampled.length === 0) return null;
  const verb = sampled.length === 1 ? "misses" : "miss";
  return (
    <div class="banner warn" role="status" data-testid="sampled">
      <p>
        <b>
          {plural(sampled.length, "run")} {verb} steps.
        </b>{" "}
        {isReport ? (
          "They were not recorded, or not to be read: spikes there are invisible."
        ) : (
          <Sampled />
        )}
      </p>
    </div>
  );
}

function Sampled() {
  return (
    <>
      TensorBoard keeps a sample of long logs: spikes between the kept steps are invisible here.
      Start it with <code>--samples_per_plugin=gradclip=0</code> to keep all.
    </>
  );
}
