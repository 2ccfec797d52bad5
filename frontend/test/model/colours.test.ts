import { expect, it } from "vitest";
import { assignSlots, colour } from "../../src/model/colours";

const names = (n: number): string[] => Array.from({ length: n }, (_, i) => `sweep/seed=${i}`);

it("no two of the first ten runs share a colour, and the first five have the clearest", () => {
  const slots = [...assignSlots(names(10)).values()];
  expect(new Set(slots).size).toBe(10);
  expect(slots.slice(0, 5).every((slot) => slot < 5)).toBe(true);
});

it("fifty runs use every colour equally often", () => {
  const uses = new Map<number, number>();
  for (const slot of assignSlots(names(50)).values()) uses.set(slot, (uses.get(slot) ?? 0) + 1);
  expect([...uses.values()]).toEqual(Array<number>(10).fill(5));
});

it("a run keeps its colour when others come and go", () => {
  const before = assignSlots(names(6));
  const after = assignSlots(["a new one", ...names(6).slice(2)], before);
  for (const name of names(6).slice(2)) expect(after.get(name)).toBe(before.get(name));
});

it("every colour has a shade for dark pages", () => {
  for (let slot = 0; slot < 10; slot++) {
    expect(colour(slot, false)).toMatch(/^#[0-9a-f]{6}$/);
    expect(colour(slot, true)).not.toBe(colour(slot, false));
  }
});
