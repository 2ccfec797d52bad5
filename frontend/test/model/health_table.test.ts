import { expect, it } from "vitest";
import { healthTable, type HealthRun } from "../../src/model/health_table";

const RUN: HealthRun = {
  name: "a",
  rule: { text: "global norm ≤ 1" },
  clip_rate: { rate: 0.123456789 },
  recent_clip_rate: { rate: 0.5, low: 0.4, high: 0.6 },
  throttle: 0.25,
  overhead: 0.01,
  skipped_steps: 3,
  alerts: [
    {
      ...{ step: 7, kind: "spike", severity: "warning", message: "" },
      ...{ finding: null, remedy: null, computed: false },
    },
  ],
};

it("has a cell under every heading, with all digits", () => {
  const [headings, row] = healthTable([RUN]);
  const cells = Object.fromEntries(headings?.map((heading, i) => [heading, row?.[i]]) ?? []);
  expect(row).toHaveLength(headings?.length ?? 0);
  expect(cells).toMatchObject({
    run: "a",
    rule: "global norm ≤ 1",
    "clip rate, run": 0.123456789,
    low: 0.4,
    throttle: 0.25,
    alerts: "spike 7",
    "skipped steps": 3,
    lint: "none",
    overhead: 0.01,
  });
});

it("leaves empty what is not known", () => {
  const unknown = { clip_rate: null, recent_clip_rate: null, throttle: null, overhead: null };
  const [, row] = healthTable([{ ...RUN, ...unknown, alerts: [] }]);
  expect(row).toEqual([
    "a",
    "global norm ≤ 1",
    null,
    null,
    null,
    null,
    null,
    "none",
    3,
    "none",
    null,
  ]);
});
