// Gestures of charts whose axis is steps of the focused run, whatever the other charts measure.

import { batch } from "@preact/signals";
import type { GestureHandlers } from "../charts/gestures";
import { clamp, type Range } from "../model/ranges";
import { cursorStep, pan, pinCursor, placeOfStep, pointAtStep, zoomAt } from "../state/cursor";
import { zoomTo, type OwnChart } from "../state/signals";

/** Those of a chart that shows these steps. */
export function stepGestures(chart: OwnChart, range: () => Range): GestureHandlers {
  const stepOf = (share: number): number => {
    const [low, high] = range();
    return Math.round(low + share * (high - low));
  };
  return {
    hover: (share) => pointAtStep(chart, share === null ? null : stepOf(share)),
    press: (share) =>
      batch(() => {
        pointAtStep(chart, stepOf(share));
        pinCursor();
      }),
    select(from, to) {
      const [low, high] = [placeOfStep(stepOf(from)), placeOfStep(stepOf(to))];
      if (low !== null && high !== null) zoomTo([low, high]);
    },
    reset: () => zoomTo(null),
    zoom(share, factor) {
      const place = placeOfStep(stepOf(share));
      if (place !== null) zoomAt(place, factor);
    },
    pan,
    step(pixels) {
      const [low, high] = range();
      const by = Math.max(1, Math.round((high - low) / 400));
      const from = cursorStep.value ?? Math.round((low + high) / 2);
      pointAtStep(chart, clamp(from + pixels * by, Math.ceil(low), Math.floor(high)));
    },
    enter: pinCursor,
  };
}
