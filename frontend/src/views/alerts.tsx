// All alerts of the selected runs in a list; the one that is selected has a timeline beside it.

import { useLayoutEffect, useRef } from "preact/hooks";
import { alertKey, isSame } from "../model/alerts";
import { alertCells } from "../model/alert_table";
import { integer, plural } from "../model/format";
import { alertTitle, blameWords } from "../model/health";
import {
  alertKind,
  alertKinds,
  alertList,
  alertOrder,
  ALERTS_A_PAGE,
  alertsShown,
  listedNow,
  shownKind,
  type ListedAlert,
} from "../state/alerts";
import { openAlerts } from "../state/cursor";
import { selectedAlert, selectedRuns } from "../state/signals";
import { Blame } from "./blame";
import { Choice } from "./choice";
import { CopyTable } from "./copy_table";
import { Help } from "./help";

export function Alerts() {
  const none = alertKinds.value.length === 0;
  return (
    <section class="card alerts" aria-label="Alerts" data-testid="alerts">
      <h2>
        Alerts <small>what happened, and which parameters went first</small>
        <span class="tools">
          {!none && <Kinds />}
          {!none && <Order />}
          {!none && <CopyTable testId="copy-alerts" cells={() => alertCells(alertList.value)} />}
          <Help of="alerts" />
        </span>
      </h2>
      {none ? (
        <p class="hint" data-testid="no-alerts">
          No alerts: nothing broke in {plural(steps(), "step")}.
        </p>
      ) : (
        <div class="beside">
          <List />
          <Blame />
        </div>
      )}
    </section>
  );
}

function Order() {
  return (
    <Choice
      name="alert-order"
      label="Order of the alerts"
      options={[
        ["newest", "newest"],
        ["severity", "worst"],
      ]}
      value={alertOrder.value}
      onChange={(order) => (alertOrder.value = order)}
    />
  );
}

function steps(): number {
  return selectedRuns.value.reduce((sum, run) => sum + run.steps, 0);
}

function Kinds() {
  const kinds = alertKinds.value;
  const all = kinds.reduce((sum, [, count]) => sum + count, 0);
  return (
    <select
      aria-label="Kind of alerts"
      data-testid="alert-kind"
      value={shownKind.value ?? ""}
      onChange={(event) => {
        alertKind.value = event.currentTarget.value || null;
        alertsShown.value = ALERTS_A_PAGE;
      }}
    >
      <option value="">all kinds ({integer(all)})</option>
      {kinds.map(([kind, count]) => (
        <option key={kind} value={kind}>
          {alertTitle(kind as ListedAlert["kind"])} ({integer(count)})
        </option>
      ))}
    </select>
  );
}

function List() {
  const place = useRef<HTMLDivElement>(null);
  const shown = listedNow.value;
  const more = alertList.value.length - shown.length;
  const selected = selectedAlert.value;
  useLayoutEffect(() => {
    if (place.current) reveal(place.current);
  }, [selected]);
  return (
    <div class="scroll alert-list" ref={place}>
      <ul onKeyDown={moveFocus}>
        {shown.map((alert) => (
          <Entry key={`${alert.run} ${alert.step} ${alert.finding ?? alert.kind}`} alert={alert} />
        ))}
      </ul>
      {more > 0 && (
        <button
          type="button"
          class="quiet"
          data-testid="more-alerts"
          onClick={() => (alertsShown.value += ALERTS_A_PAGE)}
        >
          show more, {integer(more)} left
        </button>
      )}
    </div>
  );
}

function Entry({ alert }: { readonly alert: ListedAlert }) {
  const blame = blameWords(alert.kind, alert.departures);
  const open = isSame(selectedAlert.value, alertKey(alert));
  return (
    <li>
      <button
        type="button"
        class={open ? "alert-row on" : "alert-row"}
        aria-pressed={open}
        title="Zoom to the steps around it"
        data-testid="alert"
        data-step={alert.step}
        data-kind={alert.kind}
        data-run={alert.run}
        onClick={() => openAlerts([alert])}
      >
        <i class="swatch" style={{ background: alert.colour }} />
        <b>{integer(alert.step)}</b>
        <span class={`chip ${alert.severity}`}>{alertTitle(alert.kind)}</span>
        <bdi class="soft run-name">{alert.run}</bdi>
        <span class="message">
          {alert.message}
          {blame && (
            <>
              . {blame.label}:{" "}
              <b>
                <bdi>{blame.first}</bdi>
              </b>
              {blame.rest}
            </>
          )}
          {alert.remedy !== null && `. ${alert.remedy}`}
        </span>
      </button>
    </li>
  );
}

/** Scrolls the list to the selected alert, and nothing around the list. */
function reveal(list: HTMLElement): void {
  const entry = list.querySelector(".on");
  if (!entry) return;
  const [outer, inner] = [list.getBoundingClientRect(), entry.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop += inner.top - outer.top;
  else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
}

const ARROWS: Readonly<Record<string, number>> = { ArrowUp: -1, ArrowDown: 1 };

/** Up and down go from alert to alert. */
function moveFocus(event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void {
  const by = ARROWS[event.key];
  if (by === undefined) return;
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const next = buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
