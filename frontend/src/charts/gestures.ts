// Pointer and keyboard on a plot area, told in shares of its width from 0 (left) to 1 (right).

import { clamp } from "../model/ranges";
import { tellOfKey } from "./wheel_hint";

export interface GestureHandlers {
  /** The pointer is at this place, or has left. */
  readonly hover: (share: number | null) => void;
  readonly press: (share: number) => void;
  readonly select: (from: number, to: number) => void;
  /** A double-click. The presses it is made of were told before. */
  readonly reset: () => void;
  readonly escape: () => void;
  /** Zoom around a place; a factor below 1 comes closer. Null where there is nothing to zoom. */
  readonly zoom: ((share: number, factor: number) => void) | null;
  /** Returns whether it moved: where it did not, the page may scroll. */
  readonly pan: (share: number) => boolean;
  /** Arrow keys, in pixels. */
  readonly step: (pixels: number) => void;
  readonly enter: () => void;
}

const DRAG_STARTS_AT = 4;
const ARROWS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1 };

export class Gestures {
  private readonly stop = new AbortController();
  private dragFrom: number | null = null;
  /** Where the pointer came in: there it stays while the page is scrolled under it. */
  private entered: readonly [number, number] | null = null;
  /** Whether it was moved since. */
  private pointed = false;

  /** Listens on `area` to the pointer and on `keys` to the keyboard; `selection` shows what is dragged over. */
  constructor(
    private readonly area: HTMLElement,
    private readonly keys: HTMLElement,
    private readonly selection: HTMLElement,
    private readonly handlers: GestureHandlers,
  ) {
    const options = { signal: this.stop.signal };
    selection.hidden = true;
    area.addEventListener("pointerdown", (event) => this.down(event), options);
    area.addEventListener("pointermove", (event) => this.move(event), options);
    area.addEventListener("pointerup", (event) => this.up(event), options);
    area.addEventListener("pointercancel", () => this.endDrag(), options);
    area.addEventListener("pointerenter", (event) => this.enter(event), options);
    area.addEventListener("pointerleave", () => this.leave(), options);
    area.addEventListener("dblclick", () => handlers.reset(), options);
    area.addEventListener("wheel", (event) => this.wheel(event), { ...options, passive: false });
    keys.addEventListener("keydown", (event) => this.key(event), options);
  }

  destroy(): void {
    this.stop.abort();
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || isOnButton(event)) return;
    this.dragFrom = this.shareOf(event);
    this.area.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    this.pointed ||= event.clientX !== this.entered?.[0] || event.clientY !== this.entered[1];
    if (this.dragFrom === null && isOnButton(event)) return;
    const share = this.shareOf(event);
    this.showSelection(share);
    this.handlers.hover(share);
  }

  private up(event: PointerEvent): void {
    const from = this.dragFrom;
    if (from === null) return;
    const to = this.shareOf(event);
    if (this.isDrag(to)) this.handlers.select(Math.min(from, to), Math.max(from, to));
    else this.handlers.press(to);
    this.endDrag();
  }

  private enter(event: PointerEvent): void {
    this.entered = [event.clientX, event.clientY];
    this.pointed = false;
  }

  private leave(): void {
    if (this.dragFrom === null) this.handlers.hover(null);
  }

  /**
   * A plain wheel scrolls the page. With Ctrl, which is also what pinching a touchpad sends, Cmd or Alt it zooms.
   */
  private wheel(event: WheelEvent): void {
    const { zoom, pan } = this.handlers;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      event.preventDefault();
      zoom?.(this.shareOf(event), Math.exp(event.deltaY * 0.004));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      if (pan(event.deltaX / Math.max(this.area.clientWidth, 1))) event.preventDefault();
    } else if (zoom && this.pointed) tellOfKey(this.area, event);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.keys) return;
    const direction = ARROWS[event.key];
    if (direction !== undefined) this.handlers.step(direction * (event.shiftKey ? 10 : 1));
    else if (event.key === "Enter") this.handlers.enter();
    else if (event.key === "Escape") {
      this.endDrag();
      this.handlers.escape();
    } else return;
    event.preventDefault();
  }

  private endDrag(): void {
    this.dragFrom = null;
    this.selection.hidden = true;
  }

  private isDrag(share: number): boolean {
    const { dragFrom, area } = this;
    return dragFrom !== null && Math.abs(share - dragFrom) * area.clientWidth >= DRAG_STARTS_AT;
  }

  private showSelection(share: number): void {
    this.selection.hidden = !this.isDrag(share);
    if (this.dragFrom === null) return;
    this.selection.style.left = `${Math.min(share, this.dragFrom) * 100}%`;
    this.selection.style.width = `${Math.abs(share - this.dragFrom) * 100}%`;
  }

  private shareOf(event: MouseEvent): number {
    const { left, width } = this.area.getBoundingClientRect();
    return clamp((event.clientX - left) / Math.max(width, 1), 0, 1);
  }
}

/** Markers are buttons on the area, with a meaning of their own. */
function isOnButton(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("button") !== null;
}
