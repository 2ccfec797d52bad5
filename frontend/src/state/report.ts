// Whether this page is a report, which has its answers in it, and what it can answer.

import { signal } from "@preact/signals";
import { heldAnswers, isReport } from "../embedded";

export { isReport, reportWords } from "../embedded";

/** Runs of which a report has distributions of single parameters. */
const withParameters = signal<ReadonlySet<string>>(new Set());

/** Looks up what there is. Called once. */
export async function keepHeld(): Promise<void> {
  const held = await heldAnswers();
  const runs = held.flatMap((each) =>
    each.route === "histogram" && each.parameter !== null ? (each.run ?? []) : [],
  );
  withParameters.value = new Set(runs);
}

/** Whether distributions of single parameters can be had of a run: a server has all, a report those there was room for. */
export function hasParameterDistributions(run: string): boolean {
  return !isReport || withParameters.value.has(run);
}
