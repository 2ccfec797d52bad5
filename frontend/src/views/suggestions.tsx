// Thresholds worth a try, and the code that clips there.

import { percent, shortPercent } from "../model/format";
import { CODE_FOR } from "../model/snippets";
import type { Suggestion } from "../model/suggestions";
import { exact } from "../model/what_if";
import { threshold } from "../state/signals";
import {
  codeAt,
  codeChoice,
  shownCode,
  shownThreshold,
  suggestions,
  whatIfAnswer,
} from "../state/what_if";
import { Choice } from "./choice";
import { Copy } from "./copy";
import { CopyableTable } from "./copyable_table";
import { Help } from "./help";

export function Suggestions() {
  if (suggestions.value.length === 0) return null;
  return (
    <section class="card suggestions" aria-label="Suggested thresholds">
      <h2>
        Suggested thresholds <small>had the run been the same</small>
        <span class="tools">
          <Help of="suggestions" />
        </span>
      </h2>
      <CopyableTable label="Suggested thresholds">
        <table>
          <thead>
            <tr>
              <th scope="col">Clip this share of steps</th>
              <th scope="col">Threshold</th>
              <th scope="col">Throttle</th>
              <th scope="col" aria-label="Copy" />
            </tr>
          </thead>
          <tbody>
            {suggestions.value.map((row) => (
              <Row key={row.key} row={row} />
            ))}
          </tbody>
        </table>
      </CopyableTable>
      <ZClipWords />
      <Code />
      <p class="soft caveat" data-testid="caveat">
        Another threshold would have led training elsewhere: treat this as a starting point.
      </p>
    </section>
  );
}

function Row({ row }: { readonly row: Suggestion }) {
  const known = Number.isFinite(row.threshold);
  const value = known ? exact(row.threshold) : "–";
  return (
    <tr data-testid="suggestion" data-key={row.key}>
      <th scope="row">
        {row.share} <small>{row.note}</small>
      </th>
      <td>
        <b>{value}</b>
      </td>
      <td>{shortPercent(row.throttle)}</td>
      <td class="for-button">
        {row.offered && (
          <Copy
            text={codeAt(row.threshold)}
            label={`Copy the code for threshold ${value}`}
            source={codeElement}
            onCopy={() => (threshold.value = row.threshold)}
          />
        )}
      </td>
    </tr>
  );
}

function ZClipWords() {
  const zclip = whatIfAnswer.value?.zclip;
  if (zclip?.clip_rate == null) return null;
  return (
    <p class="words soft" data-testid="zclip-words">
      ZClip itself, which moves its limit along, would have clipped {percent(zclip.clip_rate)} of
      steps, throttle {shortPercent(zclip.throttle)}.
    </p>
  );
}

const CODE_ID = "what-if-code";
const codeElement = (): HTMLElement | null => document.getElementById(CODE_ID);

function Code() {
  const at = shownThreshold.value;
  if (at === null) return null;
  const code = codeAt(at);
  return (
    <div class="code-box">
      <Choice
        name="code"
        label="Framework of the code"
        options={CODE_FOR}
        value={shownCode.value}
        onChange={(next) => (codeChoice.value = next)}
      />
      <div class="code">
        <pre id={CODE_ID} data-testid="code" tabIndex={0} role="group" aria-label="Code">
          {code}
        </pre>
        <Copy text={code} label="Copy the code" testId="copy-code" source={codeElement} />
      </div>
    </div>
  );
}
