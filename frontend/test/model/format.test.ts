import { expect, it } from "vitest";
import {
  count,
  duration,
  finePercent,
  shortPercent,
  integer,
  moment,
  number,
  percent,
  percentRange,
  power,
} from "../../src/model/format";

it("number keeps three digits and says what is not finite", () => {
  const read = [0.25, 12.34, 1234.5, 123456, 1.5e6, 1.2e-5, 0, -0.5, NaN, Infinity, -Infinity];
  expect(read.map(number)).toEqual([
    "0.25",
    "12.3",
    "1,235",
    "123,456",
    "1.5e6",
    "1.2e−5",
    "0",
    "−0.5",
    "NaN",
    "∞",
    "−∞",
  ]);
});

it("percent never rounds to none or all", () => {
  const shares = [0, 0.0001, 0.004, 0.126, 0.9, 0.9951, 0.99999, 1, 1 - 1e-16, null, NaN];
  expect(shares.map((share) => percent(share).replace("\u202f", " "))).toEqual([
    "0 %",
    "<0.1 %",
    "0.4 %",
    "13 %",
    "90 %",
    "99.5 %",
    "99.9 %",
    "100 %",
    "100 %",
    "–",
    "–",
  ]);
  expect(percentRange(0.86, 0.97)).toBe("86–97\u202f%");
});

it("count shortens large numbers", () => {
  const read = [0, 999, 9999, 12345, 1_440_000, 7e9].map((n) => count(n).replace("\u202f", " "));
  expect(read).toEqual(["0", "999", "9,999", "12.3 k", "1.44 M", "7 G"]);
});

it("integer separates thousands", () => {
  expect([0, 12, 1234567, -1000].map(integer)).toEqual(["0", "12", "1,234,567", "−1,000"]);
});

it("duration takes the two largest units", () => {
  expect([0.25, 42, 185, 7620, 273600, -60].map(duration)).toEqual([
    "0.25 s",
    "42 s",
    "3 m 05 s",
    "2 h 07 m",
    "3 d 04 h",
    "−1 m 00 s",
  ]);
});

it("moment is ISO order in the reader's time zone", () => {
  const date = new Date(2026, 0, 31, 14, 5, 9);
  expect(moment(date.getTime() / 1000)).toBe("2026-01-31 14:05:09");
  expect(moment(NaN)).toBe("–");
});

it("power writes tick labels short", () => {
  expect([0, 1, -0.01, 0.001, 1e-4, 1e4, 1e6].map(power)).toEqual([
    "0",
    "1",
    "−0.01",
    "1e−3",
    "1e−4",
    "1e4",
    "1e6",
  ]);
});

it("shortPercent has two digits from one to ten percent", () => {
  const shares = [0, 2e-8, 0.004, 0.029, 0.0304, 0.0949, 0.0996, 0.19, -0.029, null];
  expect(shares.map((share) => shortPercent(share).replace("\u202f", " "))).toEqual([
    ...["0 %", "<0.1 %", "0.4 %", "2.9 %", "3 %", "9.5 %", "10 %", "19 %", "−2.9 %", "–"],
  ]);
});

it("finePercent has two digits below ten percent, however small", () => {
  const shares = [0, 0.004, 0.029, 0.0304, 0.0949, 0.0996, 0.19, -0.029, null];
  const small = [0.5, 0.012, 0.00999, 0.00132, 0.000013, 3e-8, 1e-12, 1, NaN];
  expect([...shares, ...small].map((share) => finePercent(share).replace("\u202f", " "))).toEqual([
    ...["0 %", "0.4 %", "2.9 %", "3 %", "9.5 %", "10 %", "19 %", "−2.9 %", "–"],
    ...["50 %", "1.2 %", "1 %", "0.13 %", "0.0013 %", "3e−6 %", "1e−10 %", "100 %"],
    "–",
  ]);
});
