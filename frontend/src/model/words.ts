// Sentences about one recorded histogram, and about what recording costs.

import { count, number, percent } from "./format";

export interface Clipping {
  readonly rule: { readonly kind: string; readonly text: string };
  readonly coefficient: number | null;
  readonly clipped: number | null;
  readonly before: { readonly size: number };
}

export interface Tally {
  readonly size: number;
  readonly zero: number;
  readonly nan: number;
  readonly positive_infinity: number;
  readonly negative_infinity: number;
}

/** What clipping did to these gradients. */
export function clippingWords(clipping: Clipping): string {
  const { rule, coefficient, clipped, before } = clipping;
  if (rule.kind === "none") return "not clipped: before and after are the same";
  if (rule.kind === "value" && clipped !== null) {
    if (clipped === 0) return "no gradient reached the limits";
    const share = before.size > 0 ? ` (${percent(clipped / before.size)})` : "";
    return `${count(clipped)} of ${count(before.size)} gradients cut to the limits${share}`;
  }
  if (coefficient === null) {
    if (rule.kind === "global_norm") return "the norm is not finite: there is no factor";
    return rule.kind === "norm" ? "each variable scaled by its own factor" : "no single factor";
  }
  if (coefficient === 1) return "under the threshold: nothing changed";
  return `every gradient × ${number(coefficient)}`;
}

const NOTICEABLE_TURN = 0.5;

/** By what angle clipping turned the whole gradient; null if by none, or nobody knows. */
export function turnWords(cosine: number | null): string | null {
  if (cosine === null) return null;
  const degrees = (Math.acos(Math.min(1, Math.max(-1, cosine))) / Math.PI) * 180;
  return degrees < NOTICEABLE_TURN ? null : `the whole gradient turned by ${number(degrees)}°`;
}

/** How many gradients there are and what the axis cannot show. */
export function tallyWords(tally: Tally): readonly { text: string; bad: boolean }[] {
  const infinite = tally.positive_infinity + tally.negative_infinity;
  const share = tally.size > 0 ? tally.zero / tally.size : 0;
  return [
    { text: `${count(tally.size)} gradients`, bad: false },
    { text: `zero ${percent(share)}`, bad: false },
    { text: `NaN ${count(tally.nan)}`, bad: tally.nan > 0 },
    { text: `Inf ${count(infinite)}`, bad: infinite > 0 },
  ];
}

export interface Provenance {
  readonly dtypes: readonly string[];
  readonly replicas: number;
  readonly gradients: "whole" | "replica";
  readonly imported: { readonly text: string } | null;
}

/**
 * Whose gradients the norms of a run are those of: a note where several replicas train or somebody else logged them, and
 * the whole story.
 */
export function provenanceWords({ dtypes, replicas, gradients, imported }: Provenance): {
  note: string | null;
  title: string;
} {
  if (imported) {
    const title = imported.text.charAt(0).toUpperCase() + imported.text.slice(1);
    return { note: "imported", title };
  }
  const types = dtypes.length > 0 ? ` (${dtypes.join(", ")})` : "";
  if (gradients === "replica") {
    const title = `Each replica clips before gradients are put together: norms are those of the first one's own${types}`;
    return { note: `replica 1 of ${replicas}`, title };
  }
  if (replicas > 1)
    return {
      note: `${replicas} replicas`,
      title: `Norms of all replicas' gradients together${types}`,
    };
  const what = "accumulated over micro-batches, free of a loss scale";
  return {
    note: null,
    title: `Norms of the gradients that the optimizer is given: ${what}${types}`,
  };
}

/** From here on somebody who waits for the training would notice. */
const NOTICEABLE_OVERHEAD = 0.05;

/** The share of training time that recording took, and what there is to say about it. */
export function overheadWords(share: number | null): {
  readonly text: string;
  readonly title: string | undefined;
  readonly bad: boolean;
} {
  const bad = share !== null && share > NOTICEABLE_OVERHEAD;
  let title: string | undefined;
  if (share === null) {
    title = "Not measured: inside a compiled graph nobody can see how long recording takes";
  } else if (bad) {
    title =
      "Recording takes a noticeable share of the step. Raise histogram_every, or set it to 0.";
  }
  return { text: percent(share), title, bad };
}
