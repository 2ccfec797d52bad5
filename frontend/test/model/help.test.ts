import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { HELP } from "../../src/model/help";

it("every panel says what it shows, how to read it and what to do, in sentences", () => {
  for (const { title, shows, reading, remedy } of Object.values(HELP)) {
    expect(title).toMatch(/^[A-Z]/);
    for (const text of [shows, reading, remedy]) expect(text).toMatch(/^[A-Z±].+\.$/);
  }
});

it("every panel says how its numbers are made", () => {
  for (const { formulas } of Object.values(HELP)) expect(formulas.length).toBeGreaterThan(0);
});

it("alerts are explained with the constants that they are raised with", () => {
  const constant = (monitor: string, name: string): number => {
    const file = new URL(`../../../tb_gradclip/core/${monitor}.py`, import.meta.url);
    const found = new RegExp(`^(?:.*, )?${name} = ([\\d.e-]+)`, "m").exec(
      readFileSync(file, "utf8"),
    );
    return Number(found?.[1]);
  };
  const said = (about: string) => HELP.alerts.formulas.find((text) => text.includes(about)) ?? "";
  const loss = (name: string) => constant("monitors/loss", name);
  expect(said("divergence: ")).toContain(`min(r, ${loss("CAP")})`);
  expect(Math.round((Math.exp(loss("RISE")) - 1) * 100)).toBe(20);
  expect(said("spike: ")).toContain(
    `r > ${loss("SPIKE_SIGMA")} and loss > ${loss("SPIKE_RATIO")} `,
  );
  expect(said("divergence: ")).toContain(`above ${loss("LIMIT")},`);
  expect(said("divergence: ")).toContain(`− ${loss("SLACK")})`);
  expect(said("explosion: ")).toContain(`${constant("monitors/explosion", "SIGMAS")} σ`);
  expect(said("explosion: ")).toContain(`at ${constant("monitors/explosion", "IN_A_ROW")} steps`);
  expect(said("vanishing: ")).toContain(`${constant("monitors/vanishing", "STEPS")} steps`);
  expect(said("regime: ")).toContain(`${constant("monitors/regime", "WINDOW")} steps`);
  expect(said("plateau: ")).toContain(`${constant("monitors/plateau", "IMPROVEMENT")} in`);
  expect(said("first to rise: ")).toContain("5 σ");
});
