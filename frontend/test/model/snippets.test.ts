import { expect, it } from "vitest";
import { CODE_FOR, codeFor, snippet } from "../../src/model/snippets";

it("each framework has its own call", () => {
  expect(CODE_FOR.map(([which]) => snippet(which, 1.42))).toEqual([
    "writer.clip_grad_norm_(model.parameters(), max_norm=1.42)",
    "gradients, norm = writer.clip_by_global_norm(gradients, 1.42)",
    "keras.optimizers.Adam(global_clipnorm=1.42)",
  ]);
});

it("numbers are as Python reads them", () => {
  expect(snippet("keras", 1e30)).toContain("=1e30)");
  expect(snippet("keras", 2.5e-9)).toContain("=2.5e-9)");
});

it("another norm is named where it can be", () => {
  expect(snippet("torch", 2, "inf")).toContain('max_norm=2, norm_type=float("inf"))');
  expect(snippet("torch", 2, 1)).toContain("max_norm=2, norm_type=1)");
  expect(snippet("keras", 2, "inf")).not.toContain("norm_type");
  for (const which of ["keras", "tensorflow"] as const) {
    const lines = snippet(which, 2, "inf").split("\n");
    expect(lines.every((line) => line.startsWith("# "))).toBe(true); // no call that clips by another norm
    expect(lines.join(" ")).toContain("L2 norm only");
    expect(lines.join(" ")).toContain("2 is a threshold of the Linf norm");
  }
});

it("code is for the framework of the run", () => {
  expect(["torch", "tensorflow", "keras", "test"].map(codeFor)).toEqual([
    "torch",
    "tensorflow",
    "keras",
    "torch",
  ]);
});
