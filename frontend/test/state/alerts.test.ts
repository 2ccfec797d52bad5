import { beforeEach, describe, expect, it } from "vitest";
import { chips } from "../../src/model/health";
import {
  alertKind,
  alertKinds,
  alertList,
  alertsAt,
  alertsShown,
  listedNow,
  openAlert,
  shownKind,
  wantedWithin,
} from "../../src/state/alerts";
import { alertItems } from "../../src/state/chart_data";
import { closeAlert, openAlerts } from "../../src/state/cursor";
import { settings } from "../../src/state/settings";
import {
  cursor,
  focus,
  parameter,
  pinnedStep,
  runs,
  selectedAlert,
  setAxis,
  toggleRun,
  zoom,
} from "../../src/state/signals";
import { alert, LINT, LONG, run, showAlerts } from "./fixtures";

beforeEach(showAlerts);

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

  it("is the one that a chip sums up, marked by charts or not, whatever else is at its step", () => {
    const changed = alert(500, { kind: "regime", severity: "info" });
    runs.value = [run("a", { ...LONG, alerts: [alert(500), changed] }), run("b", LONG)];
    const kinds = chips(runs.value[0]?.alerts ?? []).map(({ first }) => {
      selectedAlert.value = null;
      if (first) openAlerts(alertsAt("a", first));
      return openAlert.value?.kind;
    });
    expect(kinds).toEqual(["divergence", "regime"]);
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
