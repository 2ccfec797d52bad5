// Magnitudes of gradients over steps, before and after clipping: two maps with one vertical axis.

import { integer, number, percent } from "../model/format";
import { binAt, columnAt, shareIn, SIDES, stepRange, type MapData } from "../model/histogram_map";
import { clamp, type Range } from "../model/ranges";
import type { Theme } from "../theme";
import type { GestureHandlers } from "./gestures";
import { columnEdges, paintMaps, type MapArea } from "./histogram_map_paint";
import { MapOverlay } from "./map_overlay";

export interface HistogramMapData {
  readonly map: MapData & {
    readonly low: Float64Array;
    readonly high: Float64Array;
    readonly before_nonfinite: Float64Array;
  };
  readonly colour: string;
  /** The step whose column is painted in a frame, as pictures have it; null for none. */
  readonly marked: number | null;
  readonly theme: Theme;
  readonly label: string;
}

export interface HistogramMapOptions {
  readonly height?: number;
  /** On either map; shares are of its width. */
  readonly gestures: GestureHandlers;
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

export class HistogramMapChart {
  private readonly canvas = document.createElement("canvas");
  private readonly said = document.createElement("p");
  private readonly observer: ResizeObserver;
  private readonly stop = new AbortController();
  private readonly height: number;
  private readonly overlays: readonly MapOverlay[];
  private areas: readonly MapArea[] = [];
  private cursor: number | null = null;
  private shown: number | null = null;

  constructor(
    private readonly element: HTMLElement,
    private data: HistogramMapData,
    options: HistogramMapOptions,
  ) {
    this.height = options.height ?? HEIGHT;
    this.canvas.setAttribute("role", "img");
    this.said.className = "said";
    element.append(this.canvas, this.said);
    this.overlays = SIDES.map((_, i) => {
      return new MapOverlay(element, i === 0 ? element : null, options.gestures);
    });
    const { signal } = this.stop;
    for (const { area } of this.overlays) {
      area.addEventListener("pointermove", (event) => this.say(event), { signal });
      area.addEventListener("pointerleave", () => (this.said.textContent = ""), { signal });
    }
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    this.draw();
  }

  update(data: HistogramMapData): void {
    this.data = data;
    this.draw();
  }

  /** Moves the cursor to a step, or hides it. */
  setCursor(step: number | null): void {
    this.cursor = step;
    const [low, high] = stepRange(this.data.map);
    this.areas.forEach(({ width }, i) => {
      const share = step === null ? NaN : (step - low) / (high - low);
      this.overlays[i]?.setCursor(share * width, width);
    });
  }

  /** Frames the column of a step, or none. */
  setShown(step: number | null): void {
    this.shown = step;
    const { map } = this.data;
    const column = step === null ? -1 : columnAt(map, step);
    this.areas.forEach((area, i) => {
      const [left, right] = column < 0 ? [0, 0] : columnEdges(area, map, column);
      this.overlays[i]?.setColumn(column < 0 ? null : [left - area.left, right - area.left]);
    });
  }

  destroy(): void {
    this.stop.abort();
    for (const overlay of this.overlays) overlay.destroy();
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
    this.areas.forEach((area, i) => this.overlays[i]?.place(area));
    this.setCursor(this.cursor);
    this.setShown(this.shown);
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
