// A pen that writes SVG. What is painted on a canvas is painted with it as well, so that a picture that is saved cannot
// differ from the one on the screen.

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
  fillStyle: CanvasRenderingContext2D["fillStyle"];
  strokeStyle: CanvasRenderingContext2D["strokeStyle"];
  lineWidth: number;
  globalAlpha: number;
  font: string;
  textAlign: CanvasTextAlign;
  textBaseline: CanvasTextBaseline;
};

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Width of a letter as a share of its size: there is no font to ask, and labels only need about that room. */
const LETTER = 0.6;
/** A line may leave the picture, but not by numbers that programs choke on. */
const FAR = 1e5;
/** Not allowed in XML, escaped or not: most control characters, and halves of characters. */
const FORBIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Markup without what XML forbids anywhere. */
export function clean(text: string): string {
  return text.replace(FORBIDDEN, "\ufffd");
}

/** Text that is nothing but text in XML, between tags and in attributes. */
export function escaped(text: string): string {
  return clean(text)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}

/** One element. `content` is markup. */
export function markup(name: string, attributes: Attributes, content = ""): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
    .join("");
  return content === "" ? `<${name}${list}/>` : `<${name}${list}>${content}</${name}>`;
}

interface State {
  readonly fill: string;
  readonly stroke: string;
  readonly width: number;
  readonly alpha: number;
  readonly font: string;
  readonly align: CanvasTextAlign;
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
    this.path += `M${short(x)},${short(y)}h${short(width)}v${short(height)}h${short(-width)}Z`;
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

  fillRect(x: number, y: number, width: number, height: number): void {
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
    const attributes = { x: short(x), y: short(y), ...font, "text-anchor": anchor };
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

/** Weight, size and family of a font as canvases are told it. */
function fontOf(font: string): { readonly "font-size": string } & Attributes {
  const [, weight, size = "11", family = "sans-serif"] =
    /^(?:(bold|\d{3}) )?([\d.]+)px (.*)$/.exec(font) ?? [];
  return { "font-weight": weight, "font-size": size, "font-family": family };
}

function short(value: number): number {
  return Math.round(Math.min(Math.max(value, -FAR), FAR) * 100) / 100 + 0;
}
