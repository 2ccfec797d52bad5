// Magnitudes of gradients over steps, before and after clipping: two maps with one vertical axis.

import { integer, number, percent } from "../model/format";
import { binAt, columnAt, shareIn, SIDES, stepRange, type MapData } from "../model/histogram_map";
import { clamp, type Range } from "../model/ranges";
import type { Theme } from "../theme";
import { paintMaps, type MapArea } from "./histogram_map_paint";

export interface HistogramMapData {
  readonly map: MapData & {
    readonly low: Float64Array;
    readonly high: Float64Array;
    readonly before_nonfinite: Float64Array;
  };
  readonly colour: string;
  /** The step whose distribution is shown; null for none. */
  readonly marked: number | null;
  readonly theme: Theme;
  readonly label: string;
}

export interface HistogramMapOptions {
  readonly height?: number;
  /** A column was clicked: its step. */
  readonly onPress: (step: number) => void;
  /** Arrow keys: so many recorded steps forward. */
  readonly onStep: (columns: number) => void;
  readonly onEscape: () => void;
}

/** Of each map. */
export const HEIGHT = 190;
const LEFT = 52;
const BETWEEN = 16;
const RIGHT = 12;
const TOP = 20;
const BOTTOM = 24;
/** Narrower than this, the maps lie below each other. */
const SIDE_BY_SIDE = 520;
const ARROWS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1 };

export class HistogramMapChart {
  private readonly canvas = document.createElement("canvas");
  private readonly said = document.createElement("p");
  private readonly observer: ResizeObserver;
  private readonly stop = new AbortController();
  private readonly height: number;
  private areas: readonly MapArea[] = [];

  constructor(
    private readonly element: HTMLElement,
    private data: HistogramMapData,
    private readonly options: HistogramMapOptions,
  ) {
    this.height = options.height ?? HEIGHT;
    this.canvas.setAttribute("role", "img");
    this.said.className = "said";
    element.append(this.canvas, this.said);
    const { signal } = this.stop;
    this.canvas.addEventListener("pointermove", (event) => this.say(event), { signal });
    this.canvas.addEventListener("pointerleave", () => (this.said.textContent = ""), { signal });
    this.canvas.addEventListener("click", (event) => this.press(event), { signal });
    element.addEventListener("keydown", (event) => this.key(event), { signal });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    this.draw();
  }

  update(data: HistogramMapData): void {
    this.data = data;
    this.draw();
  }

  destroy(): void {
    this.stop.abort();
    this.observer.disconnect();
    this.element.replaceChildren();
  }

  private draw(): void {
    const width = this.element.clientWidth;
    if (width === 0) return;
    const { data, canvas } = this;
    this.areas = layOut(width, this.height);
    const height = heightOf(this.areas);
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    canvas.setAttribute("aria-label", data.label);
    const context = canvas.getContext("2d");
    if (!context) return;
    context.scale(ratio, ratio);
    paintMaps(context, this.areas, data);
  }

  /** Column, bin and step under the pointer; null beside the maps. */
  private under(event: MouseEvent): { column: number; bin: number | null; step: number } | null {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const area = this.areas.find(
      (one) =>
        x >= one.left && x <= one.left + one.width && y >= one.top && y <= one.top + one.height,
    );
    const { map } = this.data;
    if (!area || map.steps === 0) return null;
    const range: Range = stepRange(map);
    const share = clamp((x - area.left) / area.width, 0, 1);
    const column = columnAt(map, range[0] + share * (range[1] - range[0]));
    const bin = binAt(map, 1 - (y - area.top) / area.height);
    return { column, bin, step: map.step[column] as number };
  }

  private say(event: PointerEvent): void {
    const at = this.under(event);
    this.canvas.style.cursor = at ? "pointer" : "";
    this.said.textContent = at ? this.sentence(at) : "";
  }

  private sentence({ column, bin, step }: { column: number; bin: number | null; step: number }) {
    const { map } = this.data;
    const when = `Step ${integer(step)}`;
    if (bin === null) return when;
    const [was, is] = SIDES.map((side) => percent(shareIn(map, side, column, bin)));
    const what =
      bin < 0
        ? "exactly 0"
        : `${number(map.edges[bin] as number)} to ${number(map.edges[bin + 1] as number)}`;
    return `${when}, ${what}: ${was} before, ${is} after`;
  }

  private press(event: MouseEvent): void {
    const at = this.under(event);
    if (at) this.options.onPress(at.step);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.element) return;
    const columns = ARROWS[event.key];
    if (columns !== undefined) this.options.onStep(columns * (event.shiftKey ? 10 : 1));
    else if (event.key === "Escape") this.options.onEscape();
    else return;
    event.preventDefault();
  }
}

export function heightOf(areas: readonly MapArea[]): number {
  return Math.max(...areas.map(({ top, height }) => top + height)) + BOTTOM;
}

/** Side by side where there is room. */
export function layOut(width: number, height: number): readonly MapArea[] {
  if (width < SIDE_BY_SIDE) {
    const each = { left: LEFT, width: width - LEFT - RIGHT, height: height * 0.8 };
    const next = TOP + each.height + BOTTOM + TOP;
    return [
      { ...each, top: TOP, labelled: true },
      { ...each, top: next, labelled: true },
    ];
  }
  const each = { top: TOP, width: (width - LEFT - BETWEEN - RIGHT) / 2, height };
  return [
    { ...each, left: LEFT, labelled: true },
    { ...each, left: LEFT + each.width + BETWEEN, labelled: false },
  ];
}
