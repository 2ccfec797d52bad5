// A dashed line across a plot area whose label a pointer moves up and down. It lies over the canvas, which need not be
// painted again meanwhile. What it means can be changed with the keyboard elsewhere.

import { clamp } from "../model/ranges";

export class LimitLine {
  private readonly line = document.createElement("div");
  private readonly label = document.createElement("span");
  private readonly stop = new AbortController();
  /** How far below the pointer the line lies while it is dragged, in pixels. */
  private offset: number | null = null;

  /** `onMove` is told where in the area the line is wanted, from 0 at its bottom to 1 at its top. */
  constructor(
    private readonly area: HTMLElement,
    private readonly onMove: (share: number) => void,
  ) {
    const { line, label } = this;
    line.className = "limit-line";
    line.hidden = true;
    line.setAttribute("aria-hidden", "true");
    line.dataset["testid"] = "limit-line";
    line.append(label);
    area.append(line);
    const options = { signal: this.stop.signal };
    label.addEventListener("pointerdown", (event) => this.down(event), options);
    label.addEventListener("pointermove", (event) => this.move(event), options);
    label.addEventListener("pointerup", () => (this.offset = null), options);
    label.addEventListener("pointercancel", () => (this.offset = null), options);
    label.addEventListener("dblclick", (event) => event.stopPropagation(), options);
  }

  /** Puts it at a share of the area's height; hides it outside. */
  place(share: number, label: string): void {
    this.line.hidden = !(share >= 0 && share <= 1);
    this.line.style.bottom = `${share * 100}%`;
    this.label.textContent = label;
  }

  hide(): void {
    this.line.hidden = true;
  }

  destroy(): void {
    this.stop.abort();
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.stopPropagation(); // the area would begin to select what to zoom to
    event.preventDefault();
    this.offset = this.line.getBoundingClientRect().top - event.clientY;
    this.label.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    if (this.offset === null) return;
    event.stopPropagation();
    const { bottom, height } = this.area.getBoundingClientRect();
    this.onMove(clamp((bottom - event.clientY - this.offset) / Math.max(height, 1), 0, 1));
  }
}
