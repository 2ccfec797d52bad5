// A dashed line across a plot area whose label a pointer or the arrow keys move up and down: a slider as screen readers
// know it. It lies over the canvas, which need not be painted again meanwhile. While it rests its label alone shows,
// to be taken hold of.

import type { Limit } from "../model/chart";
import { clamp, type Range } from "../model/ranges";
import { PRESSES } from "./slider";

/** Parts of the area's height. */
const KEY_STEP = 0.01;

export class LimitLine {
  private readonly line = document.createElement("div");
  private readonly label = document.createElement("span");
  private readonly stop = new AbortController();
  /** How far below the pointer the line lies while it is dragged, in pixels. */
  private offset: number | null = null;
  private share = 0;
  private limit: Limit | null = null;

  /** `onMove` is told where in the area the line is wanted, from 0 at its bottom to 1 at its top. */
  constructor(
    private readonly area: HTMLElement,
    private readonly onMove: (share: number) => void,
    private readonly onReset: () => void = () => undefined,
  ) {
    const { line, label } = this;
    line.className = "limit-line";
    line.hidden = true;
    line.dataset["testid"] = "limit-line";
    label.tabIndex = 0;
    label.dataset["testid"] = "limit-handle";
    label.setAttribute("role", "slider");
    label.setAttribute("aria-orientation", "vertical");
    line.append(label);
    area.append(line);
    const options = { signal: this.stop.signal };
    label.addEventListener("pointerdown", (event) => this.down(event), options);
    label.addEventListener("pointermove", (event) => this.move(event), options);
    label.addEventListener("pointerup", () => (this.offset = null), options);
    label.addEventListener("pointercancel", () => (this.offset = null), options);
    label.addEventListener("dblclick", (event) => event.stopPropagation(), options);
    label.addEventListener("keydown", (event) => this.key(event), options);
  }

  /** Puts it at a share of the area's height, which spans `range`; hides it outside. */
  place(share: number, limit: Limit, [low, high]: Range): void {
    this.share = share;
    this.line.hidden = !(share >= 0 && share <= 1);
    this.line.style.bottom = `${share * 100}%`;
    this.label.setAttribute("aria-valuemin", String(low));
    this.label.setAttribute("aria-valuemax", String(high));
    if (limit !== this.limit) this.say(limit); // it is placed in every frame of a zoom
    this.limit = limit;
  }

  private say({ value, label, spoken, name, resting = false }: Limit): void {
    this.line.classList.toggle("resting", resting);
    this.label.textContent = label;
    this.label.title = name ?? "";
    this.label.setAttribute("aria-label", name ?? label);
    this.label.setAttribute("aria-valuenow", String(value));
    this.label.setAttribute("aria-valuetext", spoken ?? label);
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
    event.preventDefault(); // no selection of text; the focus goes where the keyboard is listened to
    this.label.focus({ preventScroll: true });
    this.offset = this.line.getBoundingClientRect().top - event.clientY;
    this.label.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    if (this.offset === null) return;
    event.stopPropagation();
    const { bottom, height } = this.area.getBoundingClientRect();
    const share = (bottom - event.clientY - this.offset) / Math.max(height, 1);
    this.onMove(clamp(share, 0, 1));
  }

  private key(event: KeyboardEvent): void {
    const presses = PRESSES[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (presses !== undefined) {
      const by = presses * (event.shiftKey ? 10 : 1) * KEY_STEP;
      this.onMove(clamp(this.share + by, 0, 1));
    } else if (event.key === "Escape") this.onReset();
    else return;
    event.preventDefault();
  }
}
