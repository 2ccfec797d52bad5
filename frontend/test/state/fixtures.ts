import type { Alert, Column, Run, Series } from "../../src/api";
import { DEFAULTS } from "../../src/model/link";
import { ALERTS_A_PAGE, alertsShown, flight } from "../../src/state/alerts";
import { applySettings } from "../../src/state/settings";
import { cursor, runs, series, type RunSeries } from "../../src/state/signals";

export function run(name: string, changes: Partial<Run> = {}): Run {
  return {
    name,
    recorded: true,
    framework: "torch",
    rule: { kind: "global_norm", threshold: 0.25, low: null, high: null, text: "" },
    parameters: ["w", "b"],
    dtypes: ["float32"],
    replicas: 1,
    gradients: "whole",
    imported: null,
    steps: 101,
    first_step: 0,
    last_step: 100,
    first_wall_time: 1000,
    last_wall_time: 1050,
    complete: true,
    seams: [],
    clip_rate: null,
    recent_clip_rate: null,
    throttle: null,
    overhead: null,
    nonfinite_steps: 0,
    skipped_steps: 0,
    histogram_steps: 10,
    loss: {
      tag: null,
      points: null,
      first_step: null,
      last_step: null,
      first_wall_time: null,
      last_wall_time: null,
      choices: [],
    },
    alerts: [],
    ...changes,
  };
}

/** Lines with a row every ten steps, half a second apart by step; `left` rows more were left out between them. */
export function lines(
  of: string,
  columns: Partial<Record<Column, readonly number[]>>,
  left = 0,
): RunSeries {
  const all = Object.entries(columns).map(([column, values]): [Column, Series] => {
    const step = Float64Array.from(values, (_, i) => i * 10);
    const series = {
      run: of,
      column: column as Column,
      total: values.length + left,
      step,
      wall_time: step.map((s) => 1000 + s / 2),
      value: Float64Array.from(values),
      low: null,
      high: null,
    };
    return [column as Column, series];
  });
  return { request: "", columns: new Map(all), lossRange: null };
}

export function alert(step: number, changes: Partial<Alert> = {}): Alert {
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

export const LINT = {
  kind: "lint",
  severity: "info",
  departures: [],
  finding: "never_clipped",
} as const;
export const LONG = { steps: 1001, last_step: 1000, last_wall_time: 1500 };

/** Two long runs that have alerts; what is known is theirs alone. */
export function showAlerts(): void {
  applySettings(DEFAULTS);
  cursor.value = null;
  flight.value = null;
  alertsShown.value = ALERTS_A_PAGE;
  series.value = new Map();
  runs.value = [
    run("a", { ...LONG, alerts: [alert(500), alert(900, LINT)] }),
    run("b", { ...LONG, alerts: [alert(600, { kind: "spike" })], histogram_steps: 0 }),
  ];
}
