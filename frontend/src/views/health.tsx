import { useSignal, type Signal } from "@preact/signals";
import type { ClipRate, Run } from "../api";
import { integer, percent, percentRange } from "../model/format";
import { healthTable } from "../model/health_table";
import { chips, computedWords, lintWords, type LintWords } from "../model/health";
import { overheadWords, provenanceWords } from "../model/words";
import { alertsAt } from "../state/alerts";
import { colourOf } from "../state/points";
import { openAlerts } from "../state/cursor";
import { selectedRuns } from "../state/signals";
import { CopyTable } from "./copy_table";
import { CopyableTable } from "./copyable_table";
import { Help } from "./help";
import { ScalarsOnly } from "./sidebar";

export function Health() {
  return (
    <section class="card health" aria-label="Health" data-testid="health">
      <h2>
        Health <small>what clipping did to each run</small>
        <span class="tools">
          <CopyTable testId="copy-health" cells={() => healthTable(selectedRuns.value)} />
          <Help of="health" />
        </span>
      </h2>
      <CopyableTable label="Health of each run">
        <table>
          <Headings />
          <tbody>
            {selectedRuns.value.map((run) => (
              <HealthRow key={run.name} run={run} />
            ))}
          </tbody>
        </table>
      </CopyableTable>
    </section>
  );
}

function Headings() {
  return (
    <thead>
      <tr>
        <th scope="col">Run</th>
        <th scope="col">Rule</th>
        <th scope="col">Clip rate, last 100</th>
        <th scope="col">Run total</th>
        <th scope="col" title="Share of gradient length that clipping removed, last 100 steps">
          Throttle
        </th>
        <th scope="col">Alerts</th>
        <th scope="col" title="Whether clipping is set up so that it can work">
          Lint
        </th>
        <th scope="col" class="overhead" title="Share of training time that recording itself took">
          Overhead
        </th>
      </tr>
    </thead>
  );
}

const COLUMNS = 8;

function HealthRow({ run }: { readonly run: Run }) {
  const open = useSignal(false);
  const words = lintWords(run.alerts);
  return (
    <>
      <tr data-testid="health-row" data-run={run.name}>
        <th scope="row">
          <span class="name" title={run.name}>
            <i class="swatch" style={{ background: colourOf(run) }} />
            <span class="cut">
              <bdi>{run.name}</bdi>
            </span>
          </span>
        </th>
        <RuleCell run={run} />
        <td>
          <RateWithBand rate={run.recent_clip_rate} />
        </td>
        <td>{percent(run.clip_rate?.rate ?? null)}</td>
        <td>{percent(run.throttle)}</td>
        <td>
          <Alerts run={run} />
          <Skipped steps={run.skipped_steps} />
        </td>
        <td data-testid="lint">{run.recorded ? <Lint words={words} open={open} /> : NOTHING}</td>
        {run.recorded ? <Overhead share={run.overhead} /> : <td class="overhead">{NOTHING}</td>}
      </tr>
      {words && open.value && <Findings sentences={words.sentences} />}
    </>
  );
}

const NOTHING = percent(null);

function RuleCell({ run }: { readonly run: Run }) {
  if (!run.recorded) {
    return (
      <td data-testid="rule">
        {NOTHING} <ScalarsOnly />
      </td>
    );
  }
  const { note, title } = provenanceWords(run);
  return (
    <td title={title} data-testid="rule">
      {run.rule.text} {note && <small>{note}</small>}
    </td>
  );
}

function RateWithBand({ rate }: { readonly rate: ClipRate | null }) {
  if (!rate) return <>{percent(null)}</>;
  return (
    <span title={`95 % interval, from ${rate.steps} steps`}>
      <b>{percent(rate.rate)}</b> <small>{percentRange(rate.low, rate.high)}</small>
    </span>
  );
}

function Alerts({ run }: { readonly run: Run }) {
  return (
    <>
      {chips(run.alerts).map(({ text, severity, first, computed }) =>
        first === null ? (
          <span key={text} class={`chip ${severity}`}>
            {text}
          </span>
        ) : (
          <button
            key={text}
            type="button"
            class={`chip ${severity} ${computed ? "computed" : ""}`}
            title={`${computed ? `${computedWords(run.loss)}. ` : ""}Show in the charts`}
            onClick={() => openAlerts(alertsAt(run.name, first))}
          >
            {text}
          </button>
        ),
      )}
    </>
  );
}

function Skipped({ steps }: { readonly steps: number }) {
  if (steps === 0) return null;
  const title = "Updates that a loss scaler skipped because gradients were not finite";
  return (
    <span class="chip info" title={title} data-testid="skipped">
      {integer(steps)} skipped
    </span>
  );
}

/** Findings in a word, and in full where it is pointed at, or in a row of their own once it is pressed. */
function Lint({
  words,
  open,
}: {
  readonly words: LintWords | null;
  readonly open: Signal<boolean>;
}) {
  if (!words) return <span class="chip ok">none</span>;
  return (
    <button
      type="button"
      class={`chip ${words.severity}`}
      title={words.sentences.join("\n")}
      aria-expanded={open.value}
      onClick={() => {
        open.value = !open.value;
      }}
    >
      {words.text}
    </button>
  );
}

function Findings({ sentences }: { readonly sentences: readonly string[] }) {
  return (
    <tr class="findings" data-testid="findings">
      <td colSpan={COLUMNS}>
        {sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
      </td>
    </tr>
  );
}

function Overhead({ share }: { readonly share: number | null }) {
  const { text, title, bad } = overheadWords(share);
  return (
    <td class={bad ? "overhead word warning" : "overhead word"} title={title}>
      {text}
    </td>
  );
}
