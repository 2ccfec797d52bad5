import { describe, expect, it } from "vitest";
import { colour, SLOTS } from "../src/model/colours";
import { DARK, LIGHT, type Theme } from "../src/theme";
import { contrast, difference, mixed, parsed } from "./colour_arithmetic";

/** What WCAG 2.2 asks of text of this size at level AA. */
const LEAST = 4.5;
/** What it asks of lines that a picture cannot do without. */
const LEAST_OF_LINES = 3;
/** Of any two runs, as CIE 1976 counts it. */
const LEAST_DIFFERENCE = 12;

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

  it.each(["ink", "soft", "faint", "accent", "error", "warning", "ok"] as const)(
    "a line of %s is seen on a card",
    (name) => {
      expect(contrast(parsed(theme[name]), parsed(theme.card))).toBeGreaterThan(LEAST_OF_LINES);
    },
  );

  const shades = Array.from({ length: SLOTS }, (__, slot) => colour(slot, theme.dark));

  it.each(shades)("a line of the colour %s is seen on a card", (shade) => {
    expect(contrast(parsed(shade), parsed(theme.card))).toBeGreaterThan(LEAST_OF_LINES);
  });

  it.each(["normal", "deuteranopia", "protanopia"] as const)(
    "colours of runs are told apart: %s",
    (eyes) => {
      shades.forEach((shade, i) => {
        for (const other of shades.slice(0, i)) {
          const apart = difference(parsed(shade), parsed(other), eyes);
          expect(apart, `${shade} and ${other}`).toBeGreaterThan(LEAST_DIFFERENCE);
        }
      });
    },
  );
});
