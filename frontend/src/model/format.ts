// Numbers as people read them.

const MINUS = "\u2212";
const DASH = "\u2013";
const NARROW_SPACE = "\u202f";

/** Three significant digits: 0.25, 12.3, 1,234, 1.2e-5, NaN, ∞. */
export function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  const sign = value < 0 ? MINUS : "";
  const size = Math.abs(value);
  if (size === Infinity) return `${sign}∞`;
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return sign + exponent(size.toExponential(2));
  if (size >= 1000) return sign + integer(Math.round(size));
  return sign + String(Number(size.toPrecision(3)));
}

/** With thousands separated: 12,345. */
export function integer(value: number): string {
  const digits = String(Math.abs(value)).replace(/\B(?=(\d{3})+$)/g, ",");
  return value < 0 ? MINUS + digits : digits;
}

/** A count in words: 1.44 M. */
export function count(value: number): string {
  for (const [unit, name] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ] as const) {
    if (value >= unit) {
      const divisor = name === "k" ? 1e3 : unit;
      return `${Number((value / divisor).toPrecision(3))}${NARROW_SPACE}${name}`;
    }
  }
  return integer(value);
}

/** A share as a percentage; a share that is almost nothing or almost everything never reads as 0 % or 100 %. */
export function percent(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return DASH;
  return `${percentDigits(share)}${NARROW_SPACE}%`;
}

/** The same with two digits from 1 % to 10 %: 2.9 %. */
export function shortPercent(share: number | null): string {
  return share !== null && Math.abs(share) < 0.01 ? percent(share) : finePercent(share);
}

/** The same with two digits below 10 %, however small it is: 2.9 %, 0.013 %, 2e-7 %; a model has many small shares. */
export function finePercent(share: number | null): string {
  const size = share === null ? NaN : Math.abs(share) * 100;
  if (share === null || !(size > 0 && size < 9.95)) return percent(share);
  const digits =
    size < 1e-3 ? exponent(size.toExponential(0)) : String(Number(size.toPrecision(2)));
  return `${share < 0 ? MINUS : ""}${digits}${NARROW_SPACE}%`;
}

/** The bounds of an interval of shares: 86–97 %. */
export function percentRange(low: number, high: number): string {
  return `${percentDigits(low)}${DASH}${percentDigits(high)}${NARROW_SPACE}%`;
}

function percentDigits(share: number): string {
  const sign = share < 0 ? MINUS : "";
  const size = Math.abs(share) * 100;
  if (size === 0) return "0";
  if (size < 0.1) return `${sign}<0.1`;
  if (size < 1) return sign + size.toFixed(1);
  if (size < 99) return sign + size.toFixed(0);
  if (size < 100 - 1e-6) return sign + String(Math.floor(size * 10) / 10);
  return sign + size.toFixed(0);
}

/** A span of time: 0.25 s, 42 s, 3 m 05 s, 2 h 07 m, 3 d 04 h. */
export function duration(seconds: number): string {
  const sign = seconds < 0 ? MINUS : "";
  const size = Math.abs(seconds);
  if (size < 60) return `${sign}${number(size)} s`;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  if (size < 3600) return `${sign}${Math.floor(size / 60)} m ${two(size % 60)} s`;
  if (size < 86400) return `${sign}${Math.floor(size / 3600)} h ${two((size % 3600) / 60)} m`;
  return `${sign}${Math.floor(size / 86400)} d ${two((size % 86400) / 3600)} h`;
}

/** A moment in the reader's own time zone, ISO order: 2026-01-31 14:05:09. */
export function moment(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return DASH;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

/** A power of ten on an axis: 1e-4, 0.01, 100, 1e6. */
export function power(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e-2 && size < 1e4 ? String(size) : exponent(size.toExponential());
  return value < 0 ? MINUS + text : text;
}

export function plural(amount: number, noun: string): string {
  return `${integer(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

function exponent(text: string): string {
  return text
    .replace(/\.?0+e/, "e")
    .replace("e+", "e")
    .replace("e-", `e${MINUS}`);
}
