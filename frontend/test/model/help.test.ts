import { expect, it } from "vitest";
import { HELP } from "../../src/model/help";

it("every panel says what it shows, how to read it and what to do, in sentences", () => {
  for (const { title, shows, reading, remedy } of Object.values(HELP)) {
    expect(title).toMatch(/^[A-Z]/);
    for (const text of [shows, reading, remedy]) expect(text).toMatch(/^[A-Z±].+\.$/);
  }
});
