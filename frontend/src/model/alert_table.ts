// The list of alerts as rows of plain values, to paste elsewhere.

import type { Listable } from "./alerts";
import type { Cell } from "./table";

export interface AlertRow extends Listable {
  readonly message: string;
  readonly remedy: string | null;
  readonly departures: readonly (readonly [string, number])[];
}

const HEADINGS = [
  ...["run", "step", "wall_time", "severity", "alert", "message", "remedy"],
  ...["parameters that left their past", "steps before"],
] as const;

/** Times in seconds of Unix; parameters in the order in which they left their past, and how long before the alert each did. */
export function alertCells(alerts: readonly AlertRow[]): Cell[][] {
  return [[...HEADINGS], ...alerts.map(rowOf)];
}

function rowOf(alert: AlertRow): Cell[] {
  const { departures } = alert;
  return [
    alert.run,
    alert.step,
    alert.wall_time,
    alert.severity,
    alert.finding ?? alert.kind,
    alert.message,
    alert.remedy,
    departures.map(([name]) => name).join(", ") || null,
    departures.map(([, before]) => before).join(", ") || null,
  ];
}
