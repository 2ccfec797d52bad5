// What saved pictures are put together of: the document, its words, its legends.

import type { Theme } from "../theme";
import { font } from "./paint";
import { markup } from "./svg_markup";
import { SvgPen, type Pen } from "./svg_pen";

/** In pixels: a picture as narrow as a phone would be hard to read elsewhere. */
export const LEAST_WIDTH = 640;
export const MARGIN = 14;
const LINE = 17;
const RAMP = { width: 150, height: 8 } as const;

export function documentOf(width: number, height: number, title: string, content: string): string {
  const attributes = { xmlns: "http://www.w3.org/2000/svg", width, height, role: "img" };
  const viewBox = `0 0 ${width} ${height}`;
  return markup("svg", { ...attributes, viewBox, "aria-label": title }, content);
}

export interface Words {
  readonly title: string;
  /** What stands around the picture on the page, a line each. */
  readonly lines: readonly string[];
}

/** Markup, where it begins below the words and what room it takes from there. */
export interface Picture {
  readonly content: string;
  readonly at?: readonly [x: number, y: number];
  readonly width: number;
  readonly height: number;
}

/** A document with words above a picture. */
export function headed(
  { title, lines }: Words,
  { content, at: [x, y] = [0, 0], width, height }: Picture,
  theme: Theme,
): string {
  const [pen, top] = [new SvgPen(), 32 + lines.length * LINE];
  const size = [x + width, top + y + height] as const;
  drawPage(pen, ...size, theme);
  drawTitle(pen, title, theme);
  lines.forEach((line, i) => label(pen, line, MARGIN, 40 + i * LINE, theme.soft));
  const below = markup("g", { transform: `translate(${x} ${top + y})` }, content);
  return documentOf(...size, title, pen.content + below);
}

export function drawPage(pen: Pen, width: number, height: number, theme: Theme): void {
  pen.fillStyle = theme.card;
  pen.fillRect(0, 0, width, height);
}

/** Where it ends. */
export function drawTitle(pen: Pen, title: string, theme: Theme): number {
  pen.font = font(13, "600");
  pen.fillStyle = theme.ink;
  pen.fillText(title, MARGIN, 21);
  return MARGIN + pen.measureText(title).width;
}

export interface Ramp {
  /** What the colours say. */
  readonly title: string;
  /** Colours and their opacities, from least to most. */
  readonly colours: readonly (readonly [colour: string, opacity: number])[];
  readonly ticks: readonly { readonly position: number; readonly label: string }[];
}

/** Colours side by side with their amounts below; where it ends. */
export function ramp(pen: SvgPen, shown: Ramp, x: number, y: number, theme: Theme): number {
  label(pen, shown.title, x, y + RAMP.height, theme.soft);
  pen.font = font(11);
  const left = x + pen.measureText(shown.title).width + 12;
  const each = RAMP.width / shown.colours.length;
  pen.save();
  pen.tiles(() =>
    shown.colours.forEach(([colour, opacity], i) => {
      pen.fillStyle = colour;
      pen.globalAlpha = opacity;
      pen.fillRect(left + i * each, y, each, RAMP.height);
    }),
  );
  pen.restore();
  for (const { position, label: text } of shown.ticks) {
    const align = position === 0 ? "left" : position === 1 ? "right" : "center";
    label(pen, text, left + position * RAMP.width, y + RAMP.height + 13, theme.faint, align);
  }
  return left + RAMP.width;
}

export function stroke(
  pen: Pen,
  colour: string,
  width: number,
  dash: readonly number[],
  from: readonly [number, number],
  to: readonly [number, number],
): void {
  pen.save();
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash([...dash]);
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  pen.restore();
}

export function label(
  pen: Pen,
  text: string,
  x: number,
  y: number,
  colour: string,
  align: CanvasTextAlign = "left",
): void {
  pen.save();
  pen.font = font(11);
  pen.textAlign = align;
  pen.textBaseline = "alphabetic";
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
  pen.restore();
}
