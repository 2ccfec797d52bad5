// The part of the dashboard that a link carries. What is at its default is left out.

import { ALERT_ORDERS, type AlertKey, type AlertOrder } from "./alerts";
import { QUANTITIES, type Quantity } from "./heatmap";
import { MODEL_ORDER, SORT_KEYS, type Sort } from "./parameter_table";
import type { Range } from "./ranges";
import { CODE_FOR, type CodeFor } from "./snippets";

export type ScaleChoice = "auto" | "log" | "linear";
/** All that is shown, or what lies between the 1 % and 99 % quantiles of it. */
export type Span = "full" | "most";
type Panels<T> = Readonly<Record<"loss" | "norm", T>>;

export interface Settings {
  readonly runs: ReadonlySet<string> | null;
  readonly search: string;
  readonly axis: "step" | "relative" | "wall_time";
  readonly window: number;
  readonly smoothing: number;
  /** Groups runs; empty for no groups. */
  readonly group: string;
  readonly scales: Panels<ScaleChoice>;
  readonly spans: Panels<Span>;
  readonly zoom: Range | null;
  readonly step: number | null;
  readonly focus: string | null;
  /** Of the what-if panel, above 0. */
  readonly threshold: number | null;
  /** The scalar that is taken for the loss. */
  readonly loss: string | null;
  readonly parameter: string | null;
  readonly quantity: Quantity;
  readonly alert: AlertKey | null;
  /** Whether the limits of ZClip are drawn over the norms. */
  readonly zclip: boolean;
  /** The framework whose code is shown; null for that of the run. */
  readonly code: CodeFor | null;
  readonly parameterSearch: string;
  readonly parameterSort: Sort;
  /** The kind that alerts are listed of; null for all. */
  readonly alertKind: string | null;
  readonly alertOrder: AlertOrder;
}

/** A clip-rate window as long as any run. */
export const WHOLE_RUN = 1_000_000_000;

export const DEFAULTS: Settings = {
  runs: null,
  search: "",
  axis: "step",
  window: 100,
  smoothing: 0,
  group: "",
  scales: { loss: "auto", norm: "log" },
  spans: { loss: "full", norm: "full" },
  zoom: null,
  step: null,
  focus: null,
  threshold: null,
  loss: null,
  parameter: null,
  quantity: "share",
  alert: null,
  zclip: false,
  code: null,
  parameterSearch: "",
  parameterSort: MODEL_ORDER,
  alertKind: null,
  alertOrder: "newest",
};

export function encodeSettings(settings: Settings): ReadonlyMap<string, string> {
  const result = new Map<string, string>();
  const put = (key: string, value: string | null, standard: string | null): void => {
    if (value !== null && value !== standard) result.set(key, value);
  };
  const runs = settings.runs && [...settings.runs].map(escapeName).join(",");
  put("runs", runs, null);
  put("search", settings.search, DEFAULTS.search);
  put("axis", settings.axis, DEFAULTS.axis);
  put("window", String(settings.window), String(DEFAULTS.window));
  put("smoothing", String(settings.smoothing), String(DEFAULTS.smoothing));
  put("group", settings.group, DEFAULTS.group);
  for (const panel of ["loss", "norm"] as const) {
    put(`${panel}_scale`, settings.scales[panel], DEFAULTS.scales[panel]);
    put(`${panel}_range`, settings.spans[panel], DEFAULTS.spans[panel]);
  }
  put("zoom", settings.zoom && settings.zoom.map((bound) => short(bound)).join("_"), null);
  put("step", settings.step === null ? null : String(settings.step), null);
  put("focus", settings.focus, null);
  put("threshold", settings.threshold === null ? null : String(settings.threshold), null);
  put("loss", settings.loss, null);
  put("parameter", settings.parameter, null);
  put("quantity", settings.quantity, DEFAULTS.quantity);
  const { alert } = settings;
  put("alert", alert && [alert.step, alert.kind, alert.run].join(":"), null);
  put("zclip", settings.zclip ? "on" : null, null);
  put("code", settings.code, null);
  put("parameter_search", settings.parameterSearch, DEFAULTS.parameterSearch);
  put("parameter_sort", sortText(settings.parameterSort), sortText(MODEL_ORDER));
  put("alert_kind", settings.alertKind, null);
  put("alert_order", settings.alertOrder, DEFAULTS.alertOrder);
  return result;
}

/** Whatever a link says that makes no sense counts as not said. */
export function decodeSettings(link: ReadonlyMap<string, string>): Settings {
  const finite = (text: string | undefined): number | null => {
    const value = text === undefined || text === "" ? NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  };
  const [from, to] = (link.get("zoom") ?? "").split("_").map(finite);
  const zoom = from != null && to != null && from < to ? ([from, to] as const) : null;
  const axis = (["step", "relative", "wall_time"] as const).find((a) => a === link.get("axis"));
  const window = finite(link.get("window"));
  const smoothing = finite(link.get("smoothing"));
  const threshold = finite(link.get("threshold"));
  const [step, runs] = [finite(link.get("step")), link.get("runs")];
  return {
    runs: runs === undefined ? null : new Set(runs.split(",").filter(Boolean).map(decode)),
    search: link.get("search") ?? DEFAULTS.search,
    axis: axis ?? DEFAULTS.axis,
    window:
      window !== null && window >= 1 ? Math.min(Math.floor(window), WHOLE_RUN) : DEFAULTS.window,
    smoothing: smoothing !== null && smoothing >= 0 && smoothing < 1 ? smoothing : 0,
    group: link.get("group") ?? DEFAULTS.group,
    scales: panels((panel) =>
      oneOf(["auto", "log", "linear"], link.get(`${panel}_scale`), DEFAULTS.scales[panel]),
    ),
    spans: panels((panel) =>
      oneOf(["full", "most"], link.get(`${panel}_range`), DEFAULTS.spans[panel]),
    ),
    zoom,
    step: step !== null && step >= 0 && Number.isSafeInteger(step) ? step : null,
    focus: link.get("focus") ?? null,
    threshold: threshold !== null && isNorm(threshold) ? threshold : null,
    loss: link.get("loss") || null,
    parameter: link.get("parameter") ?? null,
    quantity: QUANTITIES.find((one) => one === link.get("quantity")) ?? DEFAULTS.quantity,
    alert: alertOf(link.get("alert") ?? ""),
    ...listsOf(link),
  };
}

type Lists = "zclip" | "code" | "parameterSearch" | "parameterSort" | "alertKind" | "alertOrder";

/** How panels that list something are set. */
function listsOf(link: ReadonlyMap<string, string>): Pick<Settings, Lists> {
  const sort = link.get("parameter_sort") ?? "";
  return {
    zclip: link.get("zclip") === "on",
    code: CODE_FOR.find(([one]) => one === link.get("code"))?.[0] ?? null,
    parameterSearch: link.get("parameter_search") ?? DEFAULTS.parameterSearch,
    parameterSort: SORTS.find((one) => sortText(one) === sort) ?? MODEL_ORDER,
    alertKind: link.get("alert_kind") || null,
    alertOrder: oneOf(ALERT_ORDERS, link.get("alert_order"), DEFAULTS.alertOrder),
  };
}

const SORTS: readonly Sort[] = SORT_KEYS.flatMap((key) =>
  [false, true].map((descending) => ({ key, descending })),
);

/** `norm` from the least on, `-norm` from the most. */
function sortText({ key, descending }: Sort): string {
  return `${descending ? "-" : ""}${key}`;
}

/** Further out a ratio of two such numbers would be none. */
function isNorm(value: number): boolean {
  return value >= 1e-150 && value <= 1e150;
}

/** `612:divergence:lstm/unclipped`; a run's name may have colons itself. */
function alertOf(text: string): AlertKey | null {
  const [, step, kind, run] = /^(\d+):(\w+):(.+)$/.exec(text) ?? [];
  return step && kind && run ? { step: Number(step), kind, run } : null;
}

function panels<T>(of: (panel: "loss" | "norm") => T): Panels<T> {
  return { loss: of("loss"), norm: of("norm") };
}

function oneOf<T extends string>(options: readonly T[], said: string | undefined, standard: T): T {
  return options.find((option) => option === said) ?? standard;
}

function short(value: number): string {
  return String(Number(value.toPrecision(12)));
}

/** Commas stand between names; the rest is escaped where the link is written. */
function escapeName(name: string): string {
  return name.replace(/[%,]/g, encodeURIComponent);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
