// Rows of cells over steps, more of them than fit if need be: then they scroll under a canvas as large as the view.

import { rowHeight } from "../model/heatmap";
import { clamp } from "../model/ranges";
import type { Theme } from "../theme";
import { Gestures, type GestureHandlers } from "./gestures";
import { paintHeatmap, type HeatmapData, type HeatmapLayout } from "./heatmap_paint";
import { font } from "./paint";

export interface CellPlace {
  readonly x: number;
  readonly y: number;
  /** Where more room is beside it. */
  readonly side: "left" | "right";
}

export interface HeatmapOptions {
  /** Most pixels of all rows together. */
  readonly height?: number;
  readonly label: string;
  readonly gestures: GestureHandlers;
  /** The pointer is on this row, or on none. */
  readonly onRow: (row: number | null) => void;
  /** The arrow keys ask for the next row, or the one before. */
  readonly onRowStep: (rows: number) => void;
  readonly onPick: (row: number) => void;
  /** Where the cell under the cursor is, in CSS pixels from the top left. */
  readonly onPlace?: (place: CellPlace | null) => void;
}

const AXIS = 26;
const RIGHT = 14;
/** Names may take this share of the width, and no more pixels than that. */
const NAMES = { share: 0.36, most: 190, least: 24 } as const;
const ROW_KEYS: Readonly<Record<string, number>> = {
  ArrowUp: -1,
  ArrowDown: 1,
  PageUp: -10,
  PageDown: 10,
};

export class Heatmap {
  private readonly canvas = document.createElement("canvas");
  private readonly scroller = block("heatmap-rows");
  private readonly rows = block("heatmap-all");
  private readonly area = block("plot-area");
  private readonly cursorLine = block("cursor-line");
  private readonly rowFrame = block("heatmap-row");
  private readonly gestures: Gestures;
  private readonly observer: ResizeObserver;
  private readonly stop = new AbortController();
  private readonly room: number;
  private layout: HeatmapLayout = { left: 0, width: 0, height: 0, rowHeight: 1, scrolled: 0 };
  private measured: readonly string[] = [];
  private widest = 0;
  private cursor: number | null = null;
  private row: number | null = null;

  constructor(
    private readonly element: HTMLElement,
    private data: HeatmapData,
    private theme: Theme,
    private readonly options: HeatmapOptions,
  ) {
    this.room = options.height ?? 312;
    const selection = block("selection");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", options.label);
    this.area.append(selection);
    this.rows.append(this.area, this.rowFrame);
    this.scroller.append(this.rows);
    element.append(this.canvas, this.scroller, this.cursorLine);
    this.gestures = new Gestures(this.area, element, selection, options.gestures);
    this.listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    this.draw();
  }

  update(data: HeatmapData, theme: Theme): void {
    const reordered = data.order !== this.data.order;
    this.data = data;
    this.theme = theme;
    this.draw();
    if (reordered) this.scroller.scrollTop = 0;
  }

  /** Moves the cursor to a step, or hides it. */
  setCursor(step: number | null): void {
    this.cursor = step;
    this.place();
  }

  /** Frames a row; `reveal`: scrolls to it. */
  setRow(row: number | null, reveal: boolean): void {
    this.row = row;
    const { rowHeight: tall, height, scrolled } = this.layout;
    if (row !== null && reveal) {
      const next = clamp(scrolled, (row + 1) * tall - height, row * tall);
      if (next !== scrolled) this.scroller.scrollTop = next;
    }
    this.place();
  }

  destroy(): void {
    this.stop.abort();
    this.gestures.destroy();
    this.observer.disconnect();
    this.element.replaceChildren();
  }

  private listen(): void {
    const { signal } = this.stop;
    const { onRow, onRowStep, onPick } = this.options;
    this.scroller.addEventListener("scroll", () => this.draw(), { signal });
    // A finger that taps does not move: it is on a row from the moment it touches.
    for (const kind of ["pointerdown", "pointermove"] as const) {
      this.rows.addEventListener(kind, (event) => onRow(this.rowOf(event)), { signal });
    }
    this.rows.addEventListener("pointerleave", () => onRow(null), { signal });
    this.element.addEventListener("blur", () => onRow(null), { signal });
    this.rows.addEventListener(
      "click",
      (event) => {
        const row = this.rowOf(event);
        if (row !== null && event.target !== this.area) onPick(row);
      },
      { signal },
    );
    this.element.addEventListener(
      "keydown",
      (event) => {
        const by = ROW_KEYS[event.key];
        if (by === undefined || event.target !== this.element) return;
        event.preventDefault();
        onRowStep(by);
      },
      { signal },
    );
  }

  private rowOf(event: MouseEvent): number | null {
    const { top } = this.rows.getBoundingClientRect();
    const row = Math.floor((event.clientY - top) / this.layout.rowHeight);
    return row >= 0 && row < this.data.names.length ? row : null;
  }

  private draw(): void {
    const { clientWidth } = this.element;
    const context = this.canvas.getContext("2d");
    if (clientWidth === 0 || !context) return;
    this.layOut(context, clientWidth);
    const ratio = window.devicePixelRatio || 1;
    const height = this.layout.height + AXIS;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    context.scale(ratio, ratio);
    paintHeatmap(context, this.layout, this.data, this.theme);
    this.place();
  }

  private layOut(context: CanvasRenderingContext2D, clientWidth: number): void {
    const { names } = this.data;
    const tall = rowHeight(names.length, this.room);
    const height = Math.min(tall * names.length, Math.max(Math.floor(this.room / tall), 1) * tall);
    context.font = font(11, "600");
    if (this.measured !== names) {
      this.measured = names;
      const longest = [...names].sort((a, b) => b.length - a.length).slice(0, 8);
      this.widest = Math.max(...longest.map((name) => context.measureText(name).width), 0) + 16;
    }
    const left = clamp(this.widest, NAMES.least, Math.min(clientWidth * NAMES.share, NAMES.most));
    this.element.style.height = `${height + AXIS}px`;
    this.scroller.style.height = `${height}px`;
    this.rows.style.height = `${tall * names.length}px`;
    Object.assign(this.area.style, { left: `${left}px`, right: `${RIGHT}px`, top: 0, bottom: 0 });
    Object.assign(this.rowFrame.style, { left: `${left}px`, right: `${RIGHT}px` });
    const scrolled = this.scroller.scrollTop;
    const width = Math.max(clientWidth - left - RIGHT, 1);
    this.layout = { left, width, height, rowHeight: tall, scrolled };
  }

  private place(): void {
    const { left, width, height, rowHeight: tall, scrolled } = this.layout;
    const [low, high] = this.data.xRange;
    const share = this.cursor === null ? -1 : (this.cursor - low) / (high - low);
    const x = left + Math.round(share * width);
    this.cursorLine.hidden = !(share >= 0 && share <= 1);
    this.cursorLine.style.transform = `translateX(${x}px)`;
    this.cursorLine.style.height = `${height}px`;
    const { row } = this;
    this.rowFrame.hidden = row === null || row >= this.data.names.length;
    if (row === null) return this.options.onPlace?.(null);
    this.rowFrame.style.transform = `translateY(${row * tall}px)`;
    this.rowFrame.style.height = `${tall - 1}px`;
    const y = clamp((row + 0.5) * tall - scrolled, 0, height);
    const side = x > this.element.clientWidth / 2 ? "left" : "right";
    this.options.onPlace?.(this.cursorLine.hidden ? null : { x, y, side });
  }
}

function block(className: string): HTMLDivElement {
  const element = document.createElement("div");
  element.className = className;
  return element;
}
