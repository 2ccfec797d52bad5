// The distributions of all steps that are in view, fetched once somebody looks there.

import { computed, effect, signal } from "@preact/signals";
import { fetchHistograms, type HistogramMap } from "../api_histograms";
import { stepAt } from "./cursor";
import { isOpening } from "./points";
import { axis, focus, pickedParameter, recoveries, zoom } from "./signals";

/** Whether the map is on the screen: of a long run, what it shows has to be read first. */
export const mapInView = signal(false);
/** The newest map and the request that it answers; null until there is one. */
export const histogramMap = signal<{
  readonly request: string;
  readonly answer: HistogramMap | null;
} | null>(null);

const SETTLE_FOR = 250;

/** The part of the focused run that the charts show, in steps; null for all of it. */
export const stepsInView = computed<readonly [number, number] | null>(() => {
  const range = zoom.value;
  if (!range) return null;
  if (axis.value === "step") return [Math.ceil(range[0]), Math.floor(range[1])];
  const [from, to] = [stepAt(range[0]), stepAt(range[1])];
  return from === null || to === null ? null : [from, to];
});

const wanted = computed(() => {
  const run = focus.value;
  if (!mapInView.value || !run || isOpening.value || run.histogram_steps < 2) return null;
  const request = { run: run.name, parameter: pickedParameter.value, range: stepsInView.value };
  return { ...request, key: JSON.stringify([request, run.histogram_steps]) };
});

/** Starts to fetch. Called once. */
export function keepHistogramMap(): void {
  effect(() => {
    void recoveries.value;
    const next = wanted.value;
    const shown = histogramMap.peek();
    if (!next || (shown?.request === next.key && shown.answer)) return;
    const abort = new AbortController();
    const load = async (): Promise<void> => {
      let answer: HistogramMap | null = null;
      try {
        answer = await fetchHistograms(next.run, next.parameter, next.range, abort.signal);
      } catch {
        // The distribution above says what is wrong.
      }
      if (!abort.signal.aborted) histogramMap.value = { request: next.key, answer };
    };
    const timer = setTimeout(() => void load(), shown ? SETTLE_FOR : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  });
}
