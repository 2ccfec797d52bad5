import { describe, expect, it } from "vitest";
import { DARK, LIGHT, type Theme } from "../src/theme";

type Rgb = readonly number[];

const parsed = (colour: string): Rgb =>
  [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
const mixed = (colour: Rgb, share: number, under: Rgb): Rgb =>
  colour.map((part, i) => part * share + (under[i] as number) * (1 - share));

/** Relative luminance. Source: WCAG 2.2. */
function luminance(colour: Rgb): number {
  const [r = 0, g = 0, b = 0] = colour.map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** What WCAG 2.2 asks of text of this size at level AA. */
const LEAST = 4.5;

describe.each([
  ["light", LIGHT],
  ["dark", DARK],
] as const)("%s", (_, theme: Theme) => {
  it.each(["ink", "soft", "faint"] as const)("%s can be read wherever it stands", (name) => {
    for (const under of ["background", "card", "hover"] as const) {
      expect(contrast(parsed(theme[name]), parsed(theme[under])), under).toBeGreaterThan(LEAST);
    }
  });

  it("accent can be read on a card", () => {
    expect(contrast(parsed(theme.accent), parsed(theme.card))).toBeGreaterThan(LEAST);
  });

  it.each(["error", "warning", "ok", "soft"] as const)(
    "%s can be read on a card, and on a chip of its own shade",
    (name) => {
      const [colour, card] = [parsed(theme[name]), parsed(theme.card)];
      for (const share of [0, 0.12]) {
        expect(contrast(colour, mixed(colour, share, card)), `${share}`).toBeGreaterThan(LEAST);
      }
    },
  );
});
