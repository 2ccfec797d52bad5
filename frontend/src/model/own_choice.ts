// What is shown where the user chose nothing. It stays while runs come and go: a new one does not replace it.

/** With more runs than this, the rest start unchecked. */
export const FIRST_SELECTED = 20;

interface Listed {
  readonly name: string;
  readonly recorded: boolean;
}

interface Candidate {
  readonly name: string;
  readonly histogram_steps: number;
  readonly rule: { readonly kind: string };
}

/**
 * Names of all runs, but of too many those that were selected before and the first of the others, rather those whose
 * gradients were recorded.
 */
export function firstSelected(
  all: readonly Listed[],
  before: ReadonlySet<string> = new Set(),
): ReadonlySet<string> {
  const kept = all.filter((run) => before.has(run.name));
  const others = all.filter((run) => !before.has(run.name));
  const ordered = [
    ...kept,
    ...others.filter((run) => run.recorded),
    ...others.filter((run) => !run.recorded),
  ];
  return new Set(ordered.slice(0, FIRST_SELECTED).map((run) => run.name));
}

/**
 * The run whose distributions are shown: the one that was, as long as it has some; else the first that clips and has
 * any, the first that has any, the first.
 */
export function firstFocused<T extends Candidate>(
  candidates: readonly T[],
  before: string | null,
): T | null {
  const having = candidates.filter((run) => run.histogram_steps > 0);
  return (
    having.find((run) => run.name === before) ??
    having.find((run) => run.rule.kind !== "none") ??
    having[0] ??
    candidates[0] ??
    null
  );
}
