import { expect, it } from "vitest";
import { decodeSettings, DEFAULTS, encodeSettings, type Settings } from "../../src/model/link";
import { SORT_KEYS } from "../../src/model/parameter_table";

it("a link says nothing while everything is at its default", () => {
  expect(encodeSettings(DEFAULTS).size).toBe(0);
  expect(decodeSettings(new Map())).toEqual(DEFAULTS);
});

it("a link gives back what it was made from", () => {
  const settings: Settings = {
    runs: new Set(["a,b", "ü/c=d&e", "plain"]),
    search: "^lstm|x{2,}",
    axis: "relative",
    window: 1000,
    smoothing: 0.6,
    group: "seed(\\d+)&x=1",
    scales: { loss: "linear", norm: "auto" },
    spans: { loss: "most", norm: "full" },
    zoom: [12.5, 1767225600.25],
    step: 612,
    focus: "a,b",
    threshold: 1.42,
    loss: "train/loss & more",
    parameter: "rnn.weight_hh_l0",
    quantity: "clip_rate",
    alert: { step: 612, kind: "divergence", run: "lr:0.1/a,b" },
    zclip: true,
    code: "keras",
    parameterSearch: "weight$|(bias",
    parameterSort: { key: "norm_max", descending: true },
    alertKind: "spike",
    alertOrder: "severity",
  };
  expect(decodeSettings(encodeSettings(settings))).toEqual(settings);
});

it("no run at all is a choice that a link keeps", () => {
  expect(decodeSettings(encodeSettings({ ...DEFAULTS, runs: new Set() })).runs).toEqual(new Set());
});

it("nonsense in a link counts as absent", () => {
  const nonsense = new Map([
    ["axis", "sideways"],
    ["window", "-3"],
    ["smoothing", "2"],
    ["zoom", "9_1"],
    ["loss_scale", "cubic"],
    ["norm_range", ""],
    ["step", "NaN"],
    ["threshold", "-1"],
    ["quantity", "weight"],
    ["alert", "612:lstm"],
    ["zclip", "maybe"],
    ["code", "caffe"],
    ["parameter_sort", "-shape"],
    ["alert_kind", ""],
    ["alert_order", "random"],
  ]);
  expect(decodeSettings(nonsense)).toEqual(DEFAULTS);
});

it("numbers that no route would take count as absent, and a window of any length is one of the whole run", () => {
  const nonsense = { step: ["-5", "3.5", "1e300"], threshold: ["5e-324", "1e300", "Infinity"] };
  for (const [key, values] of Object.entries(nonsense)) {
    for (const value of values) {
      expect(decodeSettings(new Map([[key, value]])), `${key} ${value}`).toEqual(DEFAULTS);
    }
  }
  expect(decodeSettings(new Map([["window", "1e308"]])).window).toBe(1e9);
});

it("every order of the parameters comes back", () => {
  for (const key of SORT_KEYS) {
    for (const descending of [false, true]) {
      const settings = { ...DEFAULTS, parameterSort: { key, descending } };
      expect(decodeSettings(encodeSettings(settings))).toEqual(settings);
    }
  }
});
