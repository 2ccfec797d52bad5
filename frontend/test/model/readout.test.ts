import { expect, it } from "vitest";
import { rowAt, sortedReadout, spokenWords, stepWords } from "../../src/model/readout";

const line = { x: Float64Array.of(10, 20, 30), y: Float64Array.of(1, 2, 3) };

it("rowAt is silent where a run has not begun or is over", () => {
  expect([4, 5, 14, 29, 35, 36].map((x) => rowAt(line, x))).toEqual([-1, 0, 0, 2, 2, -1]);
});

it("rowAt always finds the only row of a run", () => {
  expect(rowAt({ x: Float64Array.of(5), y: Float64Array.of(1) }, 7)).toBe(0);
  expect(rowAt({ x: Float64Array.of(), y: Float64Array.of() }, 7)).toBe(-1);
});

it("sortedReadout puts NaN and large values first and counts what it cuts", () => {
  const rows = [1, NaN, 3, -Infinity, Infinity].map((value) => ({ value }));
  expect(sortedReadout(rows, 9).shown.map((row) => row.value)).toEqual([
    NaN,
    Infinity,
    3,
    1,
    -Infinity,
  ]);
  const cut = sortedReadout(rows, 3);
  expect([cut.shown.length, cut.more]).toEqual([2, 3]);
});

it("stepWords names steps that the title does not", () => {
  expect([stepWords([7], 7), stepWords([7, 7], 7), stepWords([7], null)]).toEqual([
    "",
    "",
    "step 7",
  ]);
  expect(stepWords([7, 1234], 7)).toBe("step 7\nstep 1,234");
  expect(stepWords([8, 8], 7)).toBe("step 8");
});

it("spokenWords says the first rows and counts the others", () => {
  const shown = ["a 5", "b 4 before\n3 after", "c 2", "d 1", "e 0"];
  expect(spokenWords({ title: "Step 7", shown, more: 2 })).toBe(
    "Step 7: a 5; b 4 before, 3 after; c 2; d 1; and 3 more",
  );
  expect(spokenWords({ title: "Step 7", shown: ["a 5"], more: 0 })).toBe("Step 7: a 5");
  expect(spokenWords({ title: "Step 7", shown: [], more: 0 })).toBe(
    "Step 7: nothing recorded here",
  );
});
