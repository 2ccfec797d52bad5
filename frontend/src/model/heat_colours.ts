// Colours for amounts: one hue from the card's own colour to as far from it as can be, so that order is lightness and
// needs no colour vision.

type Rgb = readonly [number, number, number];

/** More than eyes tell apart. */
export const LEVELS = 64;

const LIGHT: readonly Rgb[] = [
  [243, 246, 253],
  [205, 218, 246],
  [148, 175, 234],
  [82, 119, 212],
  [41, 72, 160],
  [16, 31, 89],
];
const DARK: readonly Rgb[] = [
  [36, 41, 53],
  [37, 56, 98],
  [46, 83, 164],
  [84, 133, 232],
  [158, 195, 255],
  [232, 242, 255],
];

/** Colours for levels 0 up to `LEVELS`, from least to most. */
export function ramp(dark: boolean): readonly string[] {
  const stops = dark ? DARK : LIGHT;
  return Array.from({ length: LEVELS }, (_, level) => {
    const at = (level / (LEVELS - 1)) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    const [from, to] = [stops[left] as Rgb, stops[left + 1] as Rgb];
    return `rgb(${from.map((c, i) => Math.round(c + (at - left) * ((to[i] as number) - c))).join(", ")})`;
  });
}
