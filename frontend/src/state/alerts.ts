// The list of alerts, the one that is selected and its timeline.

import { computed, signal } from "@preact/signals";
import type { Alert, Stretch } from "../api";
import type { Flight } from "../api_parameters";
import { alertKey, isSame, kindCounts, listedAlerts } from "../model/alerts";
import { blameLines, whyNoFlight, type BlameLine } from "../model/blame";
import { verticalRange, type AlertItem, type ChartData } from "../model/chart";
import { colour } from "../model/colours";
import { ALERT_KINDS, alertLabel } from "../model/health";
import { DEFAULTS } from "../model/link";
import { gaps, nearestRow } from "../model/lines";
import type { Range } from "../model/ranges";
import { alertItems } from "./chart_data";
import { colourOf, place } from "./points";
import { cursorStep } from "./cursor";
import {
  axis,
  cursor,
  focus,
  pinnedStep,
  selectedAlert,
  selectedRuns,
  theme,
  zoom,
} from "./signals";

export interface ListedAlert extends Alert {
  readonly run: string;
  readonly colour: string;
  /** On the horizontal axis. */
  readonly x: number;
}

/** Why there are no norms around an alert. */
export interface FlightFailure extends Pick<Flight, "run" | "step"> {
  readonly error: string;
}

/** Alerts that are listed at first, and how many more each press brings. */
export const ALERTS_A_PAGE = 200;

export const alertKind = signal(DEFAULTS.alertKind);
export const alertOrder = signal(DEFAULTS.alertOrder);
export const alertsShown = signal(ALERTS_A_PAGE);
/** Norms around the selected alert, or why there are none; null while they are read. */
export const flight = signal<Flight | FlightFailure | null>(null);

const allAlerts = computed<readonly ListedAlert[]>(() =>
  selectedRuns.value.flatMap((run) =>
    run.alerts.map((alert) => ({
      ...alert,
      run: run.name,
      colour: colourOf(run),
      x: place(alert.step, alert.wall_time, run, axis.value),
    })),
  ),
);

export const alertKinds = computed(() => kindCounts(allAlerts.value, ALERT_KINDS));
/** The kind to filter by, as long as there is any of it. */
export const shownKind = computed(() =>
  alertKinds.value.some(([kind]) => kind === alertKind.value) ? alertKind.value : null,
);
export const alertList = computed(() =>
  listedAlerts(allAlerts.value, shownKind.value, alertOrder.value),
);

/** Those that are listed now: the selected one is, however far down it would be. */
export const listedNow = computed(() => {
  const list = alertList.value;
  const selected = list.findIndex((alert) => isSame(selectedAlert.value, alertKey(alert)));
  return list.slice(0, Math.max(alertsShown.value, selected + 1));
});

/** Those of a kind at a step of a run, whether charts mark them or not. */
export function alertsAt(
  run: string,
  { kind, step }: Pick<Alert, "kind" | "step">,
): readonly ListedAlert[] {
  return allAlerts.value.filter((one) => {
    return one.run === run && one.kind === kind && one.step === step;
  });
}

/** The alert whose timeline is shown, while its run is. */
export const openAlert = computed<ListedAlert | null>(
  () => allAlerts.value.find((alert) => isSame(selectedAlert.value, alertKey(alert))) ?? null,
);

/** Steps of the selected alert's episode, while its distribution is wanted: its own step may have none. */
export const wantedWithin = computed<Stretch | null>(() => {
  const alert = openAlert.value;
  if (!alert || alert.start === null || cursor.value !== null) return null;
  if (pinnedStep.value !== alert.step || focus.value?.name !== alert.run) return null;
  return [alert.start, alert.end === null ? null : alert.end - 1];
});

/** Why the selected alert cannot have a timeline; null if it may. */
export const noTimeline = computed(() => openAlert.value && whyNoFlight(openAlert.value));

export interface ShownBlame extends BlameLine {
  readonly colour: string;
  /** Whether it is to be told apart; the rest is there for comparison. */
  readonly stands_out: boolean;
}

export const shownFlight = computed<Flight | null>(() => {
  const [known, alert] = [flight.value, openAlert.value];
  if (!known || !alert || "error" in known) return null;
  return known.run === alert.run && known.step === alert.step ? known : null;
});

/** Lines of the timeline; those that departed have a colour each, or all if nobody did. */
export const blame = computed<readonly ShownBlame[] | null>(() => {
  const [known, alert] = [shownFlight.value, openAlert.value];
  if (!known || !alert) return null;
  return blameLines(known, alert.departures).map((line, i) => {
    const stands_out = line.lead !== null || alert.departures.length === 0;
    return {
      ...line,
      stands_out,
      colour: stands_out ? colour(i, theme.value.dark) : theme.value.faint,
    };
  });
});

/** Why there is no timeline: known beforehand, or what the server answered. */
export const timelineFailure = computed<string | null>(() => {
  const [failed, alert] = [flight.value, openAlert.value];
  if (noTimeline.value !== null || !failed || !alert || !("error" in failed))
    return noTimeline.value;
  return failed.run === alert.run && failed.step === alert.step ? failed.error : null;
});

/** Parameters that the timeline does not show. */
export const notInTimeline = computed(() => {
  const known = shownFlight.value;
  return known ? known.left_out + known.parameters.length - (blame.value?.length ?? 0) : 0;
});

/** All steps of the timeline. */
const flightSteps = computed<Range>(() => {
  const x = shownFlight.value?.steps;
  const first = x?.[0] ?? 0;
  return [first, Math.max(x?.at(-1) ?? first, first + 1)];
});

/**
 * The steps of the timeline that the other charts show; all of it where that is less than two, as it is when they show
 * another part of the run, and where they measure time, in which its rows have no place.
 */
const blameRange = computed<Range>(() => {
  const whole = flightSteps.value;
  if (axis.value !== "step" || !zoom.value) return whole;
  const [from, to] = [Math.max(whole[0], zoom.value[0]), Math.min(whole[1], zoom.value[1])];
  const all = from === whole[0] && to === whole[1];
  return all || to - from < 2 ? whole : [from, to]; // one and the same while nothing changes
});

export const blameChart = computed<ChartData | null>(() => {
  const [known, lines, alert] = [shownFlight.value, blame.value, openAlert.value];
  if (!known || !lines || !alert) return null;
  const x = known.steps;
  const { soft } = theme.value;
  const drawn = [...lines].reverse().map((line) => ({
    run: line.name,
    colour: line.colour,
    x,
    y: line.ratio,
    width: line.stands_out ? 1.6 : 1,
    dash: [],
    opacity: line.stands_out ? 1 : 0.75,
    dotted: line.stands_out,
  }));
  const xRange = blameRange.value;
  const marks = alertItems.value.filter((item) => item.run === alert.run && inRange(item, xRange));
  return {
    lines: drawn,
    bands: [],
    thresholds: [{ value: 1, colour: soft, label: "as before", labelColour: soft }],
    gaps: lines.flatMap((line) => {
      return gaps(x, line.norms).map((gap) => ({ ...gap, colour: line.colour }));
    }),
    beyond: [],
    alerts: marks.map((item) => ({ ...item, x: item.step, label: alertLabel(item) })),
    xRange,
    yRange: verticalRange(drawn, xRange, true, [1]),
    note: null,
    xScale: "step",
    yScale: "log",
  };
});

function inRange({ step }: AlertItem, [from, to]: readonly [number, number]): boolean {
  return step >= from && step <= to;
}

/** Row of the timeline under the cursor; null where it is elsewhere. */
export const blameRow = computed<number | null>(() => {
  const [known, step] = [shownFlight.value, cursorStep.value];
  if (!known || step === null) return null;
  const row = nearestRow(known.steps, step);
  return Math.abs((known.steps[row] ?? NaN) - step) <= 1 ? row : null;
});
