// What the page's link holds of the dashboard: which signal each setting is. All that somebody chose is here, but for
// where the pointer is, how far lists are scrolled and shown, and what is folded out to be read.

import { batch, computed, type Signal } from "@preact/signals";
import type { Settings } from "../model/link";
import { alertKind, alertOrder } from "./alerts";
import { parameterSearch, parameterSort } from "./parameters";
import {
  axis,
  chosen,
  focusChoice,
  grouping,
  lossTag,
  parameter,
  pinnedStep,
  quantity,
  scales,
  search,
  selectedAlert,
  smoothing,
  spans,
  threshold,
  window,
  zoom,
} from "./signals";
import { codeChoice, zclipShown } from "./what_if";

const KEPT: { readonly [K in keyof Settings]: Signal<Settings[K]> } = {
  runs: chosen,
  search,
  axis,
  window,
  smoothing,
  group: grouping,
  scales,
  spans,
  zoom,
  step: pinnedStep,
  focus: focusChoice,
  threshold,
  loss: lossTag,
  parameter,
  quantity,
  alert: selectedAlert,
  zclip: zclipShown,
  code: codeChoice,
  parameterSearch,
  parameterSort,
  alertKind,
  alertOrder,
};
const SIGNALS = Object.entries(KEPT) as [keyof Settings, Signal<unknown>][];

export function applySettings(settings: Settings): void {
  batch(() => {
    for (const [name, kept] of SIGNALS) kept.value = settings[name];
  });
}

export const settings = computed(
  () =>
    Object.fromEntries(SIGNALS.map(([name, kept]) => [name, kept.value])) as unknown as Settings,
);
