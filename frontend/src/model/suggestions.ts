// The table of suggested thresholds.

import { percent } from "./format";
import { tidy, type Outcome } from "./what_if";
import type { Range } from "./ranges";

export interface Suggestion extends Outcome {
  readonly key: string;
  /** What share of steps it clips. */
  readonly share: string;
  readonly note: string;
  /** False of what the run does already. */
  readonly offered: boolean;
}

interface Answered {
  readonly now:
    | (Omit<Outcome, "threshold"> & {
        readonly threshold: number | null;
        readonly constant: boolean;
      })
    | null;
  readonly suggestions: readonly (Outcome & { readonly share: number })[];
  readonly autoclip: readonly (Outcome & { readonly percentile: number })[];
  readonly zclip: { readonly last: Outcome | null };
}

/** The percentiles of AutoClip that are not a suggestion anyhow: its middle one clips half of the steps. */
const SHOWN_PERCENTILES = [10, 90];
/** A target is met when no more than a fifth of it is missing. */
const SLACK = 0.2;

/**
 * Thresholds for rates, then what the run does now, then what others would use. Of suggestions that come to the same
 * threshold, as they do where there are few steps, the first one stays, and is named after the others too. `comparable` says whether the run's own
 * threshold is a norm of all gradients together.
 */
export function suggestionRows(
  answer: Answered,
  range: Range,
  comparable: boolean,
): readonly Suggestion[] {
  const targets = answer.suggestions.map((one) =>
    offered(`share-${one.share}`, one, range, targetNote(one), targetShare(one)),
  );
  const others = answer.autoclip
    .filter(({ percentile }) => SHOWN_PERCENTILES.includes(percentile))
    .map((one) => offered(`autoclip-${one.percentile}`, one, range, `AutoClip p${one.percentile}`));
  const last = answer.zclip.last;
  if (last) others.push(offered("zclip", last, range, "ZClip, at the end"));
  const own: Suggestion[] = [];
  for (const row of targets) {
    if (own.every(({ threshold }) => threshold !== row.threshold)) own.push(row);
  }
  const noted = own.map((row) => {
    const same = others.filter(({ threshold }) => threshold === row.threshold);
    return { ...row, note: [row.note, ...same.map(({ note }) => note)].filter(Boolean).join(", ") };
  });
  const further = others.filter((row) => own.every(({ threshold }) => threshold !== row.threshold));
  return [...noted, ...nowRow(answer.now, comparable), ...further];
}

function offered(
  key: string,
  one: Outcome,
  range: Range,
  note: string,
  share: string = percent(one.clip_rate),
): Suggestion {
  const { clip_rate, throttle } = one;
  return {
    key,
    threshold: tidy(one.threshold, range),
    clip_rate,
    throttle,
    share,
    note,
    offered: true,
  };
}

function targetShare({ share, clip_rate }: Outcome & { readonly share: number }): string {
  const met = clip_rate !== null && clip_rate >= share * (1 - SLACK);
  return percent(met ? share : clip_rate).replace(/\.0(?=\D)/, "");
}

function targetNote({ share }: { readonly share: number }): string {
  return share <= 0.01 ? "spikes only" : "";
}

function nowRow(now: Answered["now"], comparable: boolean): readonly Suggestion[] {
  if (!now) return [];
  const { clip_rate, throttle } = now;
  const note = now.constant ? "now" : "now, scheduled";
  const threshold = comparable ? (now.threshold ?? NaN) : NaN;
  return [
    {
      key: "now",
      threshold,
      clip_rate,
      throttle,
      share: percent(clip_rate),
      note,
      offered: false,
    },
  ];
}
