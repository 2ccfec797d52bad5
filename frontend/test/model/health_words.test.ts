// The command line says what the health line does: both are held to the same cases, which the Python tests write.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { number, percent, percentRange } from "../../src/model/format";
import { chips, lintWords, type Finding } from "../../src/model/health";
import { provenanceWords, type Provenance } from "../../src/model/words";

interface Cases {
  readonly percent: readonly (readonly [number | null, string])[];
  readonly percent_range: readonly (readonly [readonly [number, number], string])[];
  readonly number: readonly (readonly [number, string])[];
  readonly provenance: readonly (readonly [Provenance, string | null])[];
  readonly alerts: readonly {
    readonly alerts: readonly Finding[];
    readonly chips: readonly (readonly [string, string])[];
    readonly lint: readonly [string, string];
  }[];
}

const FILE = new URL("../../../tests/fixtures/health_words.json", import.meta.url);
const cases = JSON.parse(readFileSync(FILE, "utf8")) as Cases;

describe("words of the health line", () => {
  it.each(cases.percent)("percent(%s) is %s", (share, text) => {
    expect(percent(share)).toBe(text);
  });

  it.each(cases.percent_range)("percentRange(%s) is %s", ([low, high], text) => {
    expect(percentRange(low, high)).toBe(text);
  });

  it.each(cases.number)("number(%s) is %s", (value, text) => {
    expect(number(value)).toBe(text);
  });

  it.each(cases.provenance)("of %o the note is %s", (provenance, note) => {
    expect(provenanceWords(provenance).note).toBe(note);
  });

  it.each(cases.alerts)("of %o", ({ alerts, chips: expected, lint }) => {
    expect(chips(alerts).map(({ text, severity }) => [text, severity])).toEqual(expected);
    const words = lintWords(alerts);
    expect(words ? [words.text, words.severity] : ["none", "ok"]).toEqual(lint);
  });
});
