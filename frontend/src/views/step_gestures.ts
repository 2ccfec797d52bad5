// Gestures of charts whose axis is steps of the focused run, whatever the other charts measure.

import { batch } from "@preact/signals";
import type { GestureHandlers } from "../charts/gestures";
import { clamp, type Range } from "../model/ranges";
import {
  cursorStep,
  isOnPin,
  pan,
  pinCursor,
  placeOfStep,
  pointAtStep,
  showAll,
  takeBack,
  zoomAt,
} from "../state/cursor";
import { zoomTo, type OwnChart } from "../state/signals";

/** What else keys do where arrow keys move the cursor, for labels of charts. */
export const PIN_KEYS =
  "Enter pins it and lets it go again, Escape takes the pin away, then the zoom";

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
        pinCursor(isOnPinIn(range()));
      }),
    select(from, to) {
      const [low, high] = [placeOfStep(stepOf(from)), placeOfStep(stepOf(to))];
      if (low !== null && high !== null) zoomTo([low, high]);
    },
    reset: showAll,
    escape: takeBack,
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
    enter: () => pinCursor(),
  };
}

/** Whether the cursor is where one would press the pin, in a chart that shows these steps. */
export function isOnPinIn([low, high]: Range): boolean {
  return isOnPin([placeOfStep(low) ?? low, placeOfStep(high) ?? high]);
}
