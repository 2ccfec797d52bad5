// Lines over steps or time, with markers, thresholds, a cursor and a selection.

import { layoutMarkers, type Marker } from "../model/markers";
import { shareOf, type AlertItem, type ChartData, type Limit } from "../model/chart";
import { rowAt } from "../model/readout";
import { SCALES, type Scale } from "../model/scales";
import { strokes, thinnedBands } from "../model/strokes";
import type { Theme } from "../theme";
import { Gestures, type GestureHandlers } from "./gestures";
import { LimitLine } from "./limit_line";
import { MarkerLayer, type MarkerHandlers } from "./marker_layer";
import { paintOver, paintUnder } from "./paint";
import { INSETS, Plot } from "./plot";

export interface TimeChartOptions {
  readonly height?: number;
  /** What a screen reader says for the picture. */
  readonly label: string;
  /** Whether there are markers where alerts are, and what pointing at them and pressing them does, if anything. */
  readonly markers?: MarkerHandlers | boolean;
  readonly gestures: GestureHandlers;
  readonly onWidth?: (pixels: number) => void;
  /** The limit is wanted at this value. */
  readonly onLimit?: (value: number) => void;
  /** It is wanted no more. */
  readonly onLimitReset?: () => void;
}

/** More dots than this under the cursor hide each other. */
const MOST_DOTS = 24;

const ROOM_FOR_MARKERS = 20;
const ROOM_FOR_LINES = 6;

/** An axis without values would say something about none. */
const NO_TICKS: Pick<Scale, "ticks"> = { ticks: () => [] };

/** Width that the plot area of a chart has in an element, in CSS pixels; zero while TensorBoard hides the frame. */
export function plotWidthIn(element: HTMLElement): number {
  return Math.max(0, element.clientWidth - INSETS.left - INSETS.right);
}

export class TimeChart {
  private readonly plot: Plot;
  private readonly picture = block("picture");
  private readonly area = block("plot-area");
  private readonly cursorLine = block("cursor-line");
  private readonly pinLine = block("pin-line");
  private readonly dots: HTMLElement[] = [];
  private readonly markers: MarkerLayer | null;
  private readonly limitLine: LimitLine | null;
  private readonly observer: ResizeObserver;
  private readonly gestures: Gestures;
  private readonly height: number;
  private readonly top: number;
  private cursor: number | null = null;
  private pin: number | null = null;
  private limit: Limit | null = null;
  /** Of the plot area, as of the last look: to ask for it makes the browser lay out the page anew. */
  private width = 0;
  private drawnWidth = 0;
  private laidOut: readonly Marker<AlertItem>[] = [];

  constructor(
    private readonly element: HTMLElement,
    private data: ChartData,
    private theme: Theme,
    private readonly options: TimeChartOptions,
  ) {
    this.height = options.height ?? 200;
    this.top = options.markers ? ROOM_FOR_MARKERS : ROOM_FOR_LINES;
    this.picture.setAttribute("role", "img");
    const selection = block("selection");
    this.area.append(selection, this.pinLine, this.cursorLine);
    for (const [side, inset] of Object.entries({ ...INSETS, top: this.top })) {
      this.area.style.setProperty(side, `${inset}px`);
    }
    element.append(this.picture, this.area);
    element.style.height = `${this.height}px`;
    const { markers = false, onLimit, onLimitReset } = options;
    this.markers = markers ? new MarkerLayer(this.area, markers === true ? null : markers) : null;
    this.limitLine = onLimit
      ? new LimitLine(this.area, (share) => onLimit(this.valueAt(share)), onLimitReset)
      : null;
    this.plot = new Plot(
      this.picture,
      this.height,
      this.top,
      (context, area) => paintUnder(context, area, this.data),
      (context, area) => paintOver(context, area, this.data, this.theme, this.laidOut),
    );
    this.gestures = new Gestures(this.area, element, selection, options.gestures);
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(element);
    this.width = plotWidthIn(element);
    this.draw();
  }

  update(data: ChartData, theme: Theme): void {
    this.data = data;
    this.theme = theme;
    this.draw();
  }

  /** Moves the cursor to a place on the horizontal axis, or hides it. */
  setCursor(x: number | null): void {
    this.cursor = x;
    this.place(this.cursorLine, x);
    this.placeDots();
  }

  setPin(x: number | null): void {
    this.pin = x;
    this.place(this.pinLine, x);
  }

  /** Draws a limit that can be dragged, or none. */
  setLimit(limit: Limit | null): void {
    this.limit = limit;
    if (limit) this.limitLine?.place(this.heightOf(limit.value), limit, this.data.yRange);
    else this.limitLine?.hide();
  }

  destroy(): void {
    this.gestures.destroy();
    this.limitLine?.destroy();
    this.observer.disconnect();
    this.plot.destroy();
    this.element.replaceChildren();
  }

  private fit(): void {
    this.width = plotWidthIn(this.element);
    if (this.width === 0) return;
    this.options.onWidth?.(this.width);
    if (this.width === this.drawnWidth) return;
    this.plot.resize(this.element.clientWidth, this.height);
    this.draw();
  }

  private draw(): void {
    if (this.width === 0) return;
    this.drawnWidth = this.width;
    const { data, theme } = this;
    const x = SCALES[data.xScale];
    const y = SCALES[data.yScale];
    const floor = data.yScale === "log" ? data.yRange[0] : -Infinity;
    this.laidOut = layoutMarkers(data.alerts, data.xRange, this.width);
    this.picture.setAttribute("aria-label", this.options.label);
    this.plot.draw({
      x: data.xRange,
      y: [y.project(data.yRange[0]), y.project(data.yRange[1])],
      xTicks: x
        .ticks(data.xRange, Math.max(3, this.width / 110))
        .map((tick) => ({ position: tick.value, label: tick.label })),
      yTicks: (data.note === null ? y : NO_TICKS)
        .ticks(data.yRange, Math.max(2, this.height / 42))
        .map((tick) => ({ position: y.project(tick.value), label: tick.label })),
      lines: strokes(data).map((stroke) => ({ ...stroke, stroke: stroke.colour })),
      bands: thinnedBands(data).map(({ x: at, low, high, colour, edge = null }) => {
        const side = (values: Float64Array): Float64Array =>
          values.map((value) => (Number.isFinite(value) ? y.project(Math.max(value, floor)) : NaN));
        return { x: at, low: side(low), high: side(high), fill: colour, edge };
      }),
      theme,
    });
    this.markers?.update(this.laidOut);
    this.setLimit(this.limit);
    this.setPin(this.pin);
    this.setCursor(this.cursor);
  }

  /** Share of the plot area's height, from 0 at the bottom; NaN for what has no place there. */
  private heightOf(value: number): number {
    const { project } = SCALES[this.data.yScale];
    const [bottom, top] = this.data.yRange.map(project) as [number, number];
    return (project(value) - bottom) / (top - bottom);
  }

  private valueAt(share: number): number {
    const { project, invert } = SCALES[this.data.yScale];
    const [bottom, top] = this.data.yRange.map(project) as [number, number];
    return invert(bottom + share * (top - bottom));
  }

  private place(line: HTMLElement, x: number | null): void {
    const share = x === null ? -1 : shareOf(this.data.xRange, x);
    line.hidden = share < 0 || share > 1;
    line.style.transform = `translateX(${Math.round(share * this.width)}px)`;
  }

  private placeDots(): void {
    const { data, cursor } = this;
    const lines = data.lines.filter((line) => line.dotted);
    const plotHeight = this.height - this.top - INSETS.bottom;
    let used = 0;
    for (const line of lines.length <= MOST_DOTS && cursor !== null ? lines : []) {
      const { x, y } = line.said ?? line;
      const row = rowAt({ x, y }, cursor as number);
      const [left, value] = [x[row], y[row]];
      if (left === undefined || value === undefined || !Number.isFinite(value)) continue;
      const [across, up] = [shareOf(data.xRange, left), this.heightOf(value)];
      if (!(across >= 0 && across <= 1 && up >= 0 && up <= 1)) continue;
      const dot = (this.dots[used++] ??= this.area.appendChild(block("cursor-dot")));
      dot.hidden = false;
      dot.style.background = line.colour;
      dot.style.transform = `translate(${across * this.width}px, ${(1 - up) * plotHeight}px)`;
    }
    for (const dot of this.dots.slice(used)) dot.hidden = true;
  }
}

function block(className: string): HTMLDivElement {
  const element = document.createElement("div");
  element.className = className;
  return element;
}
