import { expect, test } from "vitest";
import { batches } from "../../src/model/batches";

const named = (...names: string[]) => names.map((name) => ({ name }));

test("all come, once, in order, so many together", () => {
  const items = named(...Array.from({ length: 60 }, (_, i) => `run${i}`));
  const found = batches(items);
  expect(found.flat()).toEqual(items);
  expect(found.map((batch) => batch.length)).toEqual([25, 25, 10]);
  expect(batches([])).toEqual([]);
});

test("an address stays as short as it must, whatever names are made of", () => {
  const names = ["a".repeat(90), "ש".repeat(15), "b", "c".repeat(300), "\ud800", "&=?#".repeat(8)];
  const found = batches(named(...names), 25, 100);
  expect(found.flat().map(({ name }) => name)).toEqual(names);
  for (const batch of found) {
    const query = new URLSearchParams(batch.map(({ name }) => ["run", name])).toString();
    expect(query.length <= 100 || batch.length === 1).toBe(true);
  }
  expect(found.length).toBeLessThan(names.length + 1);
});
