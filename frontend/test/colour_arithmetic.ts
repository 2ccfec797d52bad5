// How far apart colours are: for reading one on another, and for telling two apart, with and without colour vision.

export type Rgb = readonly number[];
type Matrix = readonly (readonly [number, number, number])[];

/** Shares of red, green and blue, as a screen is told them. */
export function parsed(colour: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
}

/** `colour` with an opacity of `share` over `under`. */
export function mixed(colour: Rgb, share: number, under: Rgb): Rgb {
  return colour.map((part, i) => part * share + (under[i] as number) * (1 - share));
}

/** Shares of light. */
function linear(colour: Rgb): Rgb {
  return colour.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
}

/** Relative luminance. Source: WCAG 2.2. */
function luminance(colour: Rgb): number {
  const [r = 0, g = 0, b = 0] = linear(colour);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** From 1, for the same lightness, to 21. Source: WCAG 2.2. */
export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** sRGB to XYZ under D65. */
const XYZ: Matrix = [
  [0.4124564, 0.3575761, 0.1804375],
  [0.2126729, 0.7151522, 0.072175],
  [0.0193339, 0.119192, 0.9503041],
];

/**
 * What eyes make of shares of light. Source: Machado, Oliveira and Fernandes, "A physiologically-based model for
 * simulation of color vision deficiency", 2009, severity 1.
 */
export const EYES: Readonly<Record<"normal" | "protanopia" | "deuteranopia", Matrix>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};

function product(matrix: Matrix, vector: Rgb): Rgb {
  return matrix.map((row) => row.reduce((sum, part, i) => sum + part * (vector[i] as number), 0));
}

/** CIE L*a*b* under D65. */
function lab(light: Rgb): Rgb {
  const white = product(XYZ, [1, 1, 1]);
  const [x = 0, y = 0, z = 0] = product(XYZ, light).map((part, i) => {
    const share = part / (white[i] as number);
    return share > 216 / 24389 ? Math.cbrt(share) : ((24389 / 27) * share + 16) / 116;
  });
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIE 1976 difference of two colours as such eyes see them; about 2.3 is the least that a normal eye notices. */
export function difference(a: Rgb, b: Rgb, eyes: keyof typeof EYES): number {
  const [p, q] = [a, b].map((colour) => {
    const seen = product(EYES[eyes], linear(colour));
    return lab(seen.map((part) => Math.min(Math.max(part, 0), 1)));
  }) as [Rgb, Rgb];
  return Math.hypot(...p.map((part, i) => part - (q[i] as number)));
}
