import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { drawAll, drawSoon, forget } from "../../src/charts/frames";

let asked: (() => void)[] = [];

function frame(): void {
  const now = asked;
  asked = [];
  for (const callback of now) callback();
}

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => asked.push(callback));
});
afterEach(() => {
  while (asked.length > 0) frame();
  vi.unstubAllGlobals();
});

it("draws one chart a frame, each in its turn and with what it was told last", () => {
  const [a, b] = [{}, {}];
  const drawn: string[] = [];
  drawSoon(a, () => drawn.push("a1"));
  drawSoon(b, () => drawn.push("b1"));
  drawSoon(a, () => drawn.push("a2"));
  expect([drawn, asked.length]).toEqual([[], 1]);
  frame();
  expect(drawn).toEqual(["a2"]);
  drawSoon(a, () => drawn.push("a3")); // behind b now
  frame();
  frame();
  expect(drawn).toEqual(["a2", "b1", "a3"]);
  expect(asked).toEqual([]);
});

it("draws no chart that is gone, and goes on after one that failed", () => {
  const [a, b, c] = [{}, {}, {}];
  const drawn: string[] = [];
  drawSoon(a, () => drawn.push("a"));
  drawSoon(b, () => {
    throw new Error("broken");
  });
  drawSoon(c, () => drawn.push("c"));
  forget(a);
  expect(frame).toThrow("broken");
  frame();
  expect(drawn).toEqual(["c"]);
});

it("draws all at once where there is no next frame, and none of them again", () => {
  const drawn: string[] = [];
  for (const name of ["a", "b", "c"]) drawSoon({}, () => drawn.push(name));
  drawAll();
  expect(drawn).toEqual(["a", "b", "c"]);
  frame();
  expect(drawn.length).toBe(3);
});
