import { expect, it } from "vitest";
import { alertCells, type AlertRow } from "../../src/model/alert_table";

const SPIKE: AlertRow = {
  ...{ run: "a", step: 2400, wall_time: 1767225600.5, kind: "spike", severity: "warning" },
  ...{ message: "loss rose", finding: null, remedy: null },
  departures: [
    ["rnn.weight", 3],
    ["head.weight", 0],
  ],
};

it("has a cell under every heading", () => {
  const [headings, row] = alertCells([SPIKE]);
  expect(row).toHaveLength(headings?.length ?? 0);
  expect(Object.fromEntries(headings?.map((heading, i) => [heading, row?.[i]]) ?? [])).toEqual({
    run: "a",
    step: 2400,
    wall_time: 1767225600.5,
    severity: "warning",
    alert: "spike",
    message: "loss rose",
    remedy: null,
    "parameters that left their past": "rnn.weight, head.weight",
    "steps before": "3, 0",
  });
});

it("names a finding and says what to do", () => {
  const finding = { kind: "lint", finding: "always_clipped", remedy: "Raise it.", departures: [] };
  const [, row] = alertCells([{ ...SPIKE, ...finding }]);
  expect(row?.slice(4)).toEqual(["always_clipped", "loss rose", "Raise it.", null, null]);
});
