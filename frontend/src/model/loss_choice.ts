// Which scalar is the loss: what there is to choose from.

export interface WithLoss {
  readonly recorded: boolean;
  readonly loss: { readonly tag: string | null; readonly choices: readonly string[] };
}

export interface LossOption {
  /** Null: each run's own. */
  readonly tag: string | null;
  readonly text: string;
}

/**
 * Each run's own loss first, then the tags that could be one, in the order in which they are best for any run; null
 * where they are all the same. A tag that was chosen stays, whoever has it.
 */
export function lossOptions(
  runs: readonly WithLoss[],
  chosen: string | null,
): readonly LossOption[] | null {
  const places = new Map<string, number>();
  for (const { loss } of runs) {
    loss.choices.forEach((tag, place) => {
      places.set(tag, Math.min(place, places.get(tag) ?? place));
    });
  }
  if (chosen !== null && !places.has(chosen)) places.set(chosen, Infinity);
  const tags = [...places].sort(([a, i], [b, j]) => (i === j ? (a < b ? -1 : 1) : i - j));
  const recorded = runs.some((run) => run.recorded && run.loss.tag === null);
  if (chosen === null && tags.length < (recorded ? 1 : 2)) return null;
  const own = runs.some((run) => run.recorded) ? "recorded" : "automatic";
  return [{ tag: null, text: own }, ...tags.map(([tag]) => ({ tag, text: tag }))];
}
