// What moves over one map of distributions: the cursor, the column that is shown beside it, and what is dragged over.
// It lies over the canvas, which need not be painted again meanwhile.

import { Gestures, type GestureHandlers } from "./gestures";
import type { MapArea } from "./histogram_map_paint";

export class MapOverlay {
  readonly area = block("plot-area");
  private readonly cursorLine = block("cursor-line");
  private readonly column = block("map-column");
  private readonly gestures: Gestures;

  /** Listens to the keys of `keys`, or to none. */
  constructor(element: HTMLElement, keys: HTMLElement | null, handlers: GestureHandlers) {
    const selection = block("selection");
    this.cursorLine.hidden = this.column.hidden = true;
    this.area.append(this.column, selection, this.cursorLine);
    element.append(this.area);
    this.gestures = new Gestures(this.area, keys ?? this.area, selection, handlers);
  }

  place({ left, top, width, height }: MapArea): void {
    const pixels = { left, top, width, height };
    for (const [side, value] of Object.entries(pixels)) {
      this.area.style.setProperty(side, `${value}px`);
    }
  }

  /** In pixels from the left; hidden beyond the map. */
  setCursor(x: number, width: number): void {
    this.cursorLine.hidden = !(x >= 0 && x <= width);
    this.cursorLine.style.transform = `translateX(${Math.round(x)}px)`;
  }

  /** Frames the pixels from one place to another; null for nothing. */
  setColumn(edges: readonly [number, number] | null): void {
    this.column.hidden = edges === null;
    if (!edges) return;
    this.column.style.left = `${edges[0]}px`;
    this.column.style.width = `${Math.max(edges[1] - edges[0], 2)}px`;
  }

  destroy(): void {
    this.gestures.destroy();
  }
}

function block(className: string): HTMLDivElement {
  const element = document.createElement("div");
  element.className = className;
  return element;
}
