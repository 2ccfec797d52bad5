import { expect, it } from "vitest";
import { keyName } from "../../src/charts/wheel_hint";

it("keyName is what is written on the keyboard", () => {
  expect(["MacIntel", "iPad", "Linux x86_64", "Win32", ""].map(keyName)).toEqual([
    "⌘",
    "⌘",
    "Ctrl",
    "Ctrl",
    "Ctrl",
  ]);
});
