import { expect, it } from "vitest";
import { compileSearch } from "../../src/model/search";

it("an empty pattern matches everything", () => {
  expect(compileSearch("  ").matches("anything")).toBe(true);
});

it("a pattern is a regular expression without regard to case", () => {
  const { matches, error } = compileSearch("^LSTM.*(norm|value)");
  expect(["lstm/norm", "lstm/none", "my lstm/norm"].map(matches)).toEqual([true, false, false]);
  expect(error).toBeNull();
});

it("a half-typed pattern is taken literally and says so", () => {
  const { matches, error } = compileSearch("lr=(");
  expect(matches("sweep/LR=(1)")).toBe(true);
  expect(error).toContain("regular expression");
});
