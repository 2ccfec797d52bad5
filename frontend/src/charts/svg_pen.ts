// A pen that writes SVG. What is painted on a canvas is painted with it as well, so that a picture that is saved cannot
// differ from the one on the screen.

import { escaped, markup, type Attributes } from "./svg_markup";

/** The part of a canvas's context that charts paint with. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  | "save"
  | "restore"
  | "beginPath"
  | "closePath"
  | "moveTo"
  | "lineTo"
  | "rect"
  | "clip"
  | "stroke"
  | "fill"
  | "fillRect"
  | "setLineDash"
> & {
  fillText: (content: string, x: number, y: number) => void;
  measureText: (content: string) => { readonly width: number };
  /** Of pens that write; others paint, see `tiled`. */
  readonly tiles?: (paint: () => void) => void;
  fillStyle: CanvasRenderingContext2D["fillStyle"];
  strokeStyle: CanvasRenderingContext2D["strokeStyle"];
  lineWidth: number;
  globalAlpha: number;
  font: string;
  textAlign: CanvasTextAlign;
  textBaseline: CanvasTextBaseline;
};

/** Width of a letter as a share of its size: there is no font to ask, and labels only need about that room. */
const LETTER = 0.6;
/** How far below what it is placed by the letters of a text stand, as a share of their size. */
const BASELINES: Readonly<Partial<Record<CanvasTextBaseline, number>>> = { middle: 0.35, top: 0.8 };
/** A line may leave the picture, but not by numbers that programs choke on. */
const FAR = 1e5;

/** Paints rectangles of which none covers another. */
export function tiled(pen: Pen, paint: () => void): void {
  if (pen.tiles) pen.tiles(paint);
  else paint();
}

/** Rectangles of a colour. */
interface Tiles {
  readonly colour: Attributes;
  path: string;
}

interface State {
  readonly fill: string;
  readonly stroke: string;
  readonly width: number;
  readonly alpha: number;
  readonly font: string;
  readonly align: CanvasTextAlign;
  readonly baseline: CanvasTextBaseline;
  readonly dash: readonly number[];
  readonly groups: number;
}

export class SvgPen implements Pen {
  fillStyle: string | CanvasGradient | CanvasPattern = "#000000";
  strokeStyle: string | CanvasGradient | CanvasPattern = "#000000";
  lineWidth = 1;
  globalAlpha = 1;
  font = "11px sans-serif";
  textAlign: CanvasTextAlign = "start";
  textBaseline: CanvasTextBaseline = "alphabetic";
  private dash: readonly number[] = [];
  private path = "";
  private readonly parts: string[] = [];
  private readonly clips: string[] = [];
  private readonly saved: State[] = [];
  private groups = 0;
  /** Rectangles by colour, while tiles are painted. */
  private laid: Map<string, Tiles> | null = null;

  /** All that was painted. */
  get content(): string {
    const defs = this.clips.length > 0 ? markup("defs", {}, this.clips.join("")) : "";
    return defs + this.parts.join("");
  }

  save(): void {
    this.saved.push({
      fill: String(this.fillStyle),
      stroke: String(this.strokeStyle),
      width: this.lineWidth,
      alpha: this.globalAlpha,
      font: this.font,
      align: this.textAlign,
      baseline: this.textBaseline,
      dash: this.dash,
      groups: this.groups,
    });
  }

  restore(): void {
    const state = this.saved.pop();
    if (!state) return;
    for (; this.groups > state.groups; this.groups--) this.parts.push("</g>");
    this.fillStyle = state.fill;
    this.strokeStyle = state.stroke;
    this.lineWidth = state.width;
    this.globalAlpha = state.alpha;
    this.font = state.font;
    this.textAlign = state.align;
    this.textBaseline = state.baseline;
    this.dash = state.dash;
  }

  beginPath(): void {
    this.path = "";
  }

  closePath(): void {
    this.path += "Z";
  }

  moveTo(x: number, y: number): void {
    this.path += `M${short(x)},${short(y)}`;
  }

  lineTo(x: number, y: number): void {
    this.path += `L${short(x)},${short(y)}`;
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.path += rectangle(x, y, width, height);
  }

  /** Until `restore`. */
  clip(): void {
    const id = `clip${this.clips.length + 1}`;
    this.clips.push(markup("clipPath", { id }, markup("path", { d: this.path })));
    this.parts.push(`<g clip-path="url(#${id})">`);
    this.groups++;
  }

  setLineDash(dash: readonly number[]): void {
    this.dash = dash;
  }

  stroke(): void {
    if (this.path === "") return;
    const attributes = {
      d: this.path,
      fill: "none",
      ...paint("stroke", this.strokeStyle, this.globalAlpha),
      "stroke-width": short(this.lineWidth),
      "stroke-linejoin": "round",
      "stroke-dasharray": this.dash.length > 0 ? this.dash.map(short).join(" ") : undefined,
    };
    this.parts.push(markup("path", attributes));
  }

  fill(): void {
    if (this.path === "") return;
    const colour = paint("fill", this.fillStyle, this.globalAlpha);
    this.parts.push(markup("path", { d: this.path, ...colour }));
  }

  /**
   * Rectangles that `paint` fills, of which none covers another: those of a colour become one path, which takes a
   * quarter of the room. They lie under whatever else it paints.
   */
  tiles(paint: () => void): void {
    const [laid, at] = [new Map<string, Tiles>(), this.parts.length];
    this.laid = laid;
    paint();
    this.laid = null;
    const paths = [...laid.values()].map(({ colour, path }) =>
      markup("path", { d: path, ...colour }),
    );
    this.parts.splice(at, 0, ...paths);
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    if (this.laid) {
      const colour = paint("fill", this.fillStyle, this.globalAlpha);
      const key = JSON.stringify(colour);
      const tile = this.laid.get(key) ?? { colour, path: "" };
      tile.path += rectangle(x, y, width, height);
      this.laid.set(key, tile);
      return;
    }
    this.parts.push(
      markup("rect", {
        x: short(Math.min(x, x + width)),
        y: short(Math.min(y, y + height)),
        width: short(Math.abs(width)),
        height: short(Math.abs(height)),
        ...paint("fill", this.fillStyle, this.globalAlpha),
      }),
    );
  }

  fillText(content: string, x: number, y: number): void {
    const { align, font } = { align: this.textAlign, font: fontOf(this.font) };
    const anchor = align === "center" ? "middle" : align === "right" ? "end" : undefined;
    const below = (BASELINES[this.textBaseline] ?? 0) * Number.parseFloat(font["font-size"]);
    const attributes = { x: short(x), y: short(y + below), ...font, "text-anchor": anchor };
    const colour = paint("fill", this.fillStyle, this.globalAlpha);
    this.parts.push(markup("text", { ...attributes, ...colour }, escaped(content)));
  }

  measureText(content: string): { readonly width: number } {
    return { width: content.length * LETTER * Number.parseFloat(fontOf(this.font)["font-size"]) };
  }
}

/** A colour and how much of it: programs that read SVG do not all know colours of eight digits. */
function paint(kind: "fill" | "stroke", style: unknown, alpha: number): Attributes {
  const [, colour = String(style), more] =
    /^(#[0-9a-f]{6})([0-9a-f]{2})$/i.exec(String(style)) ?? [];
  const share = more === undefined ? alpha : (alpha * Number.parseInt(more, 16)) / 255;
  return { [kind]: colour, [`${kind}-opacity`]: share < 1 ? short(share) : undefined };
}

function rectangle(x: number, y: number, width: number, height: number): string {
  return `M${short(x)},${short(y)}h${short(width)}v${short(height)}h${short(-width)}Z`;
}

/** Weight, size and family of a font as canvases are told it. */
function fontOf(font: string): { readonly "font-size": string } & Attributes {
  const [, weight, size = "11", family = "sans-serif"] =
    /^(?:(bold|\d{3}) )?([\d.]+)px (.*)$/.exec(font) ?? [];
  return { "font-weight": weight, "font-size": size, "font-family": family };
}

function short(value: number): number {
  return Math.round(Math.min(Math.max(value, -FAR), FAR) * 100) / 100 + 0;
}
