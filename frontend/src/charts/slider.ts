// A handle on an area that a pointer drags and a keyboard moves: a slider as screen readers know it.

import { clamp, type Range } from "../model/ranges";

export interface SliderHandlers {
  /** The handle is wanted at this share of the width. */
  readonly onMove: (share: number) => void;
  /** So many key presses to the right; infinitely many reach an end. */
  readonly onStep: (presses: number) => void;
  readonly onReset: () => void;
}

export interface Spoken {
  readonly value: number;
  readonly range: Range;
  readonly text: string;
}

/** How far keys move what slides. */
export const PRESSES: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
};

const TO_ENDS: Readonly<Record<string, number>> = { Home: -Infinity, End: Infinity };

export class Slider {
  private readonly handle = document.createElement("div");
  private readonly stop = new AbortController();
  private dragging = false;

  /** The whole area can be pressed and dragged on; only the handle takes the focus. */
  constructor(
    private readonly area: HTMLElement,
    label: string,
    private readonly handlers: SliderHandlers,
  ) {
    const { handle } = this;
    handle.className = "slider-handle";
    handle.tabIndex = 0;
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", label);
    handle.dataset["testid"] = "threshold-handle";
    handle.append(document.createElement("i"));
    area.append(handle);
    const options = { signal: this.stop.signal };
    area.addEventListener("pointerdown", (event) => this.down(event), options);
    area.addEventListener("pointermove", (event) => this.move(event), options);
    area.addEventListener("pointerup", () => (this.dragging = false), options);
    area.addEventListener("pointercancel", () => (this.dragging = false), options);
    area.addEventListener("dblclick", () => handlers.onReset(), options);
    handle.addEventListener("keydown", (event) => this.key(event), options);
  }

  /** Moves the handle to shares of the area's width and height, from the left and from the top. */
  place(across: number, down: number, { value, range, text }: Spoken): void {
    const { handle } = this;
    handle.style.left = `${across * 100}%`;
    (handle.firstElementChild as HTMLElement).style.top = `${clamp(down, 0, 1) * 100}%`;
    handle.setAttribute("aria-valuemin", String(range[0]));
    handle.setAttribute("aria-valuemax", String(range[1]));
    handle.setAttribute("aria-valuenow", String(value));
    handle.setAttribute("aria-valuetext", text);
  }

  destroy(): void {
    this.stop.abort();
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.dragging = true;
    this.area.setPointerCapture(event.pointerId);
    event.preventDefault(); // no selection of text; the focus goes where the keyboard is listened to
    this.handle.focus({ preventScroll: true });
    this.tell(event);
  }

  private move(event: PointerEvent): void {
    if (this.dragging) this.tell(event);
  }

  private tell(event: PointerEvent): void {
    const { left, width } = this.area.getBoundingClientRect();
    this.handlers.onMove(clamp((event.clientX - left) / Math.max(width, 1), 0, 1));
  }

  private key(event: KeyboardEvent): void {
    const presses = PRESSES[event.key] ?? TO_ENDS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (presses !== undefined) this.handlers.onStep(presses * (event.shiftKey ? 10 : 1));
    else if (event.key === "Escape") this.handlers.onReset();
    else return;
    event.preventDefault();
  }
}
