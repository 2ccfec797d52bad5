// What is under the cursor, or what a marker means. One at a time, in the chart that is pointed at.

import { alertTitle, blameWords, computedWords } from "../model/health";
import { integer } from "../model/format";
import { shareOf, type AlertItem } from "../model/chart";
import type { Marker } from "../model/markers";
import { readout, spokenReadout } from "../state/readout";
import { cursor, marker, shownRange, type ChartName } from "../state/signals";

const MOST_ALERTS = 4;
const MOST_RESUMED = 3;

export function Tooltip({ chart }: { readonly chart: ChartName }) {
  if (marker.value) {
    return chart === "loss" ? (
      <Box share={shareOf(shownRange.value, marker.value.from)}>
        <MarkerText marker={marker.value} />
      </Box>
    ) : null;
  }
  const at = cursor.value;
  if (at?.chart !== chart) return null;
  return (
    <Box share={shareOf(shownRange.value, at.x)} upwards={chart !== "loss"}>
      <ReadoutText />
    </Box>
  );
}

/** For screen readers, which say what changes here. */
export function Spoken({ chart }: { readonly chart: ChartName }) {
  return (
    <p class="unseen" role="status" data-testid={`spoken-${chart}`}>
      {cursor.value?.chart === chart ? spokenReadout.value : ""}
    </p>
  );
}

interface BoxProps {
  readonly share: number;
  /** Grows over the charts above, not out of the page. */
  readonly upwards?: boolean;
  readonly children: preact.ComponentChildren;
}

/** Stands beside the cursor, on the side with more room. */
function Box({ share, upwards = false, children }: BoxProps) {
  return (
    <div
      class={`tooltip ${share > 0.5 ? "left" : "right"} ${upwards ? "upwards" : ""}`}
      style={{ "--share": share }}
      role="tooltip"
      data-testid="tooltip"
    >
      {children}
    </div>
  );
}

function ReadoutText() {
  const now = readout.value;
  if (!now) return null;
  return (
    <>
      <b>{now.title}</b>
      <table>
        <tbody>
          {now.shown.map((row) => (
            <tr key={row.run}>
              <td>
                <i class="swatch" style={{ background: row.colour }} />
              </td>
              <td class="name cut">
                <bdi>{row.run}</bdi>
              </td>
              <td class="value">{row.text}</td>
              {row.detail !== "" && <td class="soft">{row.detail}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {now.more > 0 && <p class="soft">and {now.more} more below</p>}
      {now.shown.length === 0 && <p class="soft">nothing recorded here</p>}
      {now.resumed.length > 0 && <Resumed runs={now.resumed} />}
    </>
  );
}

function Resumed({ runs }: { readonly runs: readonly string[] }) {
  return (
    <p class="soft" data-testid="resumed">
      resumed here:{" "}
      {runs.slice(0, MOST_RESUMED).map((run, i) => (
        <span key={run}>
          {i > 0 && ", "}
          <bdi>{run}</bdi>
        </span>
      ))}
      {runs.length > MOST_RESUMED && ` and ${runs.length - MOST_RESUMED} more`}
    </p>
  );
}

function Blame({ item }: { readonly item: AlertItem }) {
  const blame = blameWords(item.kind, item.departures);
  if (!blame) return null;
  return (
    <p>
      {blame.label}:{" "}
      <b>
        <bdi>{blame.first}</bdi>
      </b>
      {blame.rest}
    </p>
  );
}

function MarkerText({ marker: { items } }: { readonly marker: Marker<AlertItem> }) {
  const shown = items.slice(0, items.length > MOST_ALERTS ? MOST_ALERTS - 1 : MOST_ALERTS);
  return (
    <>
      {shown.map((item) => (
        <div key={`${item.run} ${item.step} ${item.kind}`} class="marker-text">
          <p>
            <i class="swatch" style={{ background: item.colour }} />
            <b>Step {integer(item.step)}</b> · <bdi>{item.run}</bdi>
          </p>
          <p>
            <span class={`word ${item.severity}`}>{alertTitle(item.kind)}</span>: {item.message}
          </p>
          {item.sequel !== null && <p>{item.sequel}</p>}
          <Blame item={item} />
          {item.source !== null && <p class="soft">{computedWords(item.source)}</p>}
        </div>
      ))}
      {items.length > shown.length && <p>and {items.length - shown.length} more</p>}
      <p class="soft">Click to zoom</p>
    </>
  );
}
