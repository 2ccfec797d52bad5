import { beforeEach, describe, expect, it } from "vitest";
import type { Alert } from "../../src/api";
import { DEFAULTS } from "../../src/model/link";
import {
  alertKind,
  alertKinds,
  alertList,
  ALERTS_A_PAGE,
  alertsShown,
  blame,
  blameChart,
  blameRow,
  flight,
  listedNow,
  notInTimeline,
  openAlert,
  shownKind,
  wantedWithin,
  timelineFailure,
} from "../../src/state/alerts";
import { alertItems } from "../../src/state/chart_data";
import { closeAlert, openAlerts } from "../../src/state/cursor";
import { applySettings, settings } from "../../src/state/settings";
import {
  cursor,
  focus,
  parameter,
  pinnedStep,
  runs,
  selectedAlert,
  series,
  setAxis,
  toggleRun,
  zoom,
  zoomTo,
} from "../../src/state/signals";
import { run } from "./fixtures";

function alert(step: number, changes: Partial<Alert> = {}): Alert {
  return {
    step,
    wall_time: 1000 + step / 2,
    kind: "divergence",
    severity: "error",
    message: "loss rose",
    parameter: "w",
    departures: [["w", 2]],
    start: null,
    peak: null,
    peak_step: null,
    end: null,
    recovered: false,
    finding: null,
    remedy: null,
    computed: false,
    ...changes,
  };
}

const LINT = { kind: "lint", severity: "info", departures: [], finding: "never_clipped" } as const;
const LONG = { steps: 1001, last_step: 1000, last_wall_time: 1500 };

beforeEach(() => {
  applySettings(DEFAULTS);
  cursor.value = null;
  flight.value = null;
  alertKind.value = null;
  alertsShown.value = ALERTS_A_PAGE;
  series.value = new Map();
  runs.value = [
    run("a", { ...LONG, alerts: [alert(500), alert(900, LINT)] }),
    run("b", { ...LONG, alerts: [alert(600, { kind: "spike" })], histogram_steps: 0 }),
  ];
});

describe("the list", () => {
  it("has the alerts of all selected runs", () => {
    expect(alertList.value.map((one) => [one.run, one.step])).toEqual([
      ["a", 900],
      ["b", 600],
      ["a", 500],
    ]);
    toggleRun("a");
    expect(alertList.value.map((one) => one.run)).toEqual(["b"]);
  });

  it("is filtered by a kind only while there is any", () => {
    alertKind.value = "spike";
    expect(alertList.value).toHaveLength(1);
    toggleRun("b");
    expect(shownKind.value).toBeNull();
    expect(alertList.value).toHaveLength(2);
    expect(alertKinds.value.map(([kind]) => kind)).toEqual(["divergence", "lint"]);
  });

  it("is cut, but never before the selected one", () => {
    alertsShown.value = 1;
    expect(listedNow.value).toHaveLength(1);
    selectedAlert.value = { run: "b", step: 600, kind: "spike" };
    expect(listedNow.value.map((one) => one.step)).toEqual([900, 600]);
  });
});

describe("an alert that is opened", () => {
  const open = (step: number): void => {
    openAlerts(alertList.value.filter((one) => one.step === step));
  };

  it("brings the steps of its flight into view, and is selected", () => {
    open(500);
    expect(zoom.value).toEqual([436, 532]);
    expect(pinnedStep.value).toBe(500);
    expect(settings.value.alert).toEqual({ run: "a", step: 500, kind: "divergence" });
    expect(openAlert.value).toMatchObject({ run: "a", step: 500 });
  });

  it("does so by the pace of its run where the axis is time", () => {
    setAxis("relative");
    open(500);
    expect(zoom.value).toEqual([218, 266]);
    setAxis("wall_time");
    open(500);
    expect(zoom.value).toEqual([1218, 1266]);
  });

  it("is the same from a marker as from the list", () => {
    openAlerts(alertItems.value.filter((one) => one.step === 600));
    expect(openAlert.value).toMatchObject({ run: "b", step: 600 });
    expect(focus.value?.name).toBe("b"); // though it has no distributions
  });

  it("wants a distribution of its own episode, until somebody looks elsewhere", () => {
    const [start, end] = [495, 520];
    runs.value = [run("a", { ...LONG, alerts: [alert(500, { start, end }), alert(900, LINT)] })];
    expect(wantedWithin.value).toBeNull();
    open(500);
    expect(wantedWithin.value).toEqual([495, 519]);
    cursor.value = { x: 505, chart: "loss" };
    expect(wantedWithin.value).toBeNull();
    cursor.value = null;
    pinnedStep.value = 510;
    expect(wantedWithin.value).toBeNull();
    open(900); // a finding is about no stretch
    expect(wantedWithin.value).toBeNull();
    runs.value = [run("a", { ...LONG, alerts: [alert(500, { start })] })];
    open(500);
    expect(wantedWithin.value).toEqual([495, null]);
  });

  it("keeps the picked parameter of its run", () => {
    parameter.value = "w";
    open(900);
    expect(parameter.value).toBe("w");
  });

  it("can be closed: then the whole run is shown", () => {
    open(500);
    closeAlert();
    expect([zoom.value, openAlert.value]).toEqual([null, null]);
  });

  it("is open no longer when its run is unchecked", () => {
    open(500);
    toggleRun("a");
    expect(openAlert.value).toBeNull();
  });
});

describe("the timeline", () => {
  const FLIGHT = {
    run: "a",
    step: 500,
    parameters: ["b", "w"],
    left_out: 3,
    steps: Float64Array.from({ length: 20 }, (_, i) => 490 + i),
    norms: [
      new Float32Array(20).fill(2),
      Float32Array.from({ length: 20 }, (_, i) => (i < 8 ? 1 : 10)),
    ],
  };

  beforeEach(() => {
    openAlerts(alertList.value.filter((one) => one.step === 500));
    flight.value = FLIGHT;
  });

  it("has those that departed first, over what they were", () => {
    expect(blame.value?.map((line) => [line.name, line.lead])).toEqual([
      ["w", 2],
      ["b", null],
    ]);
    const w = blameChart.value?.lines.find((line) => line.run === "w");
    expect([w?.y[0], w?.y[19]]).toEqual([1, 10]);
    expect(blameChart.value?.alerts.map((one) => one.x)).toEqual([500]);
    expect(notInTimeline.value).toBe(3);
  });

  it("tells all apart where nobody departed, else those that did", () => {
    const colours = (): number => new Set(blame.value?.map((line) => line.colour)).size;
    expect(blame.value?.map((line) => line.stands_out)).toEqual([true, false]);
    runs.value = [run("a", { ...LONG, alerts: [alert(500, { departures: [] })] })];
    expect(blame.value?.map((line) => line.stands_out)).toEqual([true, true]);
    expect(colours()).toBe(2);
  });

  it("reads norms at the cursor, and none where that is elsewhere", () => {
    expect(blameRow.value).toBeNull();
    cursor.value = { x: 495, chart: "loss" };
    expect(blameRow.value).toBe(5);
    cursor.value = { x: 800, chart: "loss" };
    expect(blameRow.value).toBeNull();
  });

  it("shows the part of its steps that the other charts show, and else all of them", () => {
    const shown = (range: readonly [number, number] | null) => {
      zoomTo(range);
      return blameChart.value?.xRange;
    };
    const whole = shown(null);
    expect(whole).toEqual([490, 509]);
    expect(shown([495, 505])).toEqual([495, 505]);
    expect(shown([480, 500])).toEqual([490, 500]);
    for (const range of [
      [100, 200],
      [400, 700],
      [508, 600],
    ] as const) {
      expect(shown(range)).toBe(whole);
    }
    setAxis("relative");
    expect(shown([495 / 2, 505 / 2])).toBe(whole);
  });

  it("belongs to its alert alone", () => {
    openAlerts(alertList.value.filter((one) => one.step === 600));
    expect(blame.value).toBeNull();
    expect(timelineFailure.value).toBeNull(); // still to be read
    flight.value = { run: "b", step: 600, error: "kept around the first alerts only" };
    expect(timelineFailure.value).toContain("first alerts");
    openAlerts(alertList.value.filter((one) => one.step === 900));
    expect(timelineFailure.value).toContain("finding");
  });
});
