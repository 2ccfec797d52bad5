import { expect, it } from "vitest";
import { suggestionRows } from "../../src/model/suggestions";

const RANGE = [0.05, 10] as const;
const ANSWER = {
  now: { threshold: 0.25, constant: true, clip_rate: 0.93, throttle: 0.61 },
  suggestions: [
    { share: 0.01, threshold: 3.0987, clip_rate: 0.0097, throttle: 0.004 },
    { share: 0.1, threshold: 1.4186, clip_rate: 0.0997, throttle: 0.029 },
    { share: 0.5, threshold: 0.6121, clip_rate: 0.5, throttle: 0.19 },
  ],
  autoclip: [
    { percentile: 10, threshold: 0.31, clip_rate: 0.9, throttle: 0.5 },
    { percentile: 50, threshold: 0.6123, clip_rate: 0.5, throttle: 0.19 },
    { percentile: 90, threshold: 1.4192, clip_rate: 0.0995, throttle: 0.029 },
  ],
  zclip: { last: { threshold: 1.2, clip_rate: 0.14, throttle: 0.04 } },
} as const;

const summary = (rows: ReturnType<typeof suggestionRows>): string[] =>
  rows.map((row) => `${row.share.replace("\u202f", " ")} | ${row.note} | ${row.threshold}`);

it("rates come first, then what the run does, then what others would use", () => {
  const rows = suggestionRows(ANSWER, RANGE, true);
  expect(summary(rows)).toEqual([
    "1 % | spikes only | 3.1",
    "10 % | AutoClip p90 | 1.42",
    "50 % |  | 0.612",
    "93 % | now | 0.25",
    "90 % | AutoClip p10 | 0.31",
    "14 % | ZClip, at the end | 1.2",
  ]);
  expect(rows.filter((row) => !row.offered).map((row) => row.key)).toEqual(["now"]);
});

it("a threshold of another kind is not on this axis", () => {
  const rows = suggestionRows(ANSWER, RANGE, false);
  expect(rows.find((row) => row.key === "now")?.threshold).toBeNaN();
});

it("of a schedule, the newest threshold is told for what it is", () => {
  const rows = suggestionRows({ ...ANSWER, now: { ...ANSWER.now, constant: false } }, RANGE, true);
  expect(rows.find((row) => row.key === "now")?.note).toBe("now, scheduled");
});

it("with few steps, suggestions that come to the same are one, and say what they do", () => {
  const most = { threshold: 2, clip_rate: 0, throttle: 0 };
  const few = {
    now: null,
    suggestions: [0.01, 0.1, 0.5].map((share) => ({ share, ...most })),
    autoclip: [],
    zclip: { last: null },
  };
  expect(summary(suggestionRows(few, RANGE, true))).toEqual(["0 % | spikes only | 2"]);
});
