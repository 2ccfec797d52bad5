import { beforeEach, expect, it } from "vitest";
import { SLOTS } from "../../src/model/colours";
import { DEFAULTS } from "../../src/model/link";
import { normChart } from "../../src/state/chart_data";
import { applySettings } from "../../src/state/settings";
import { runs, series, theme } from "../../src/state/signals";
import { DARK, LIGHT } from "../../src/theme";
import { contrast, mixed, parsed } from "../colour_arithmetic";
import { lines, run } from "./fixtures";

beforeEach(() => applySettings(DEFAULTS));

it.each([LIGHT, DARK])(
  "lines of norms are seen and labels of thresholds are read on a card",
  (look) => {
    theme.value = look;
    const names = Array.from({ length: SLOTS }, (_, i) => `run ${i}`);
    const rule = { kind: "global_norm", low: null, high: null, text: "" } as const;
    runs.value = names.map((name, i) => run(name, { rule: { ...rule, threshold: 1 + i } }));
    const norms = { norm_before: [9, 8], norm_after: [1, 1] };
    series.value = new Map(names.map((name) => [name, lines(name, norms)]));
    const card = parsed(look.card);
    expect(normChart.value.lines).toHaveLength(2 * SLOTS);
    for (const { colour, opacity } of normChart.value.lines) {
      const seen = mixed(parsed(colour), opacity, card);
      expect(contrast(seen, card), `${colour} ${opacity}`).toBeGreaterThan(3);
    }
    expect(new Set(normChart.value.thresholds.map(({ colour }) => colour)).size).toBe(SLOTS);
    for (const { labelColour } of normChart.value.thresholds) {
      expect(contrast(parsed(labelColour), card), labelColour).toBeGreaterThan(4.5);
    }
  },
);
