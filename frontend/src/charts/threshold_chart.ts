// Clip rate and throttle over thresholds on a logarithmic axis, with a handle to choose one.

import { exact, outcomeAt, shareOnAxis, type Curve } from "../model/what_if";
import { clamp, type Range } from "../model/ranges";
import { SCALES } from "../model/scales";
import { Slider, type SliderHandlers } from "./slider";
import { svg, text, vertical } from "./svg";

export interface ThresholdData {
  readonly curve: Curve;
  readonly range: Range;
  /** The run's own threshold; NaN if it has none on this axis. */
  readonly now: number;
  readonly handle: number;
  /** Share of steps that the handle's threshold clips, where its dot is. */
  readonly rate: number;
  /** What a screen reader says for the handle, and for the picture. */
  readonly spoken: string;
  readonly label: string;
  readonly colour: string;
}

const MARGIN = { left: 44, right: 14, top: 16, bottom: 24 } as const;
const SHARES = [0, 0.25, 0.5, 0.75, 1];

export class ThresholdChart {
  private readonly picture = svg("svg", { role: "img" });
  private readonly area = document.createElement("div");
  private readonly slider: Slider;
  private readonly observer: ResizeObserver;

  constructor(
    private readonly element: HTMLElement,
    private data: ThresholdData,
    handlers: SliderHandlers,
  ) {
    this.area.className = "slider-area";
    Object.assign(this.area.style, {
      left: `${MARGIN.left}px`,
      right: `${MARGIN.right}px`,
      top: `${MARGIN.top}px`,
      bottom: `${MARGIN.bottom}px`,
    });
    element.append(this.picture, this.area);
    this.slider = new Slider(this.area, "Threshold", handlers);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    this.draw();
  }

  update(data: ThresholdData): void {
    this.data = data;
    this.draw();
  }

  destroy(): void {
    this.observer.disconnect();
    this.slider.destroy();
    this.element.replaceChildren();
  }

  private draw(): void {
    // As tall as its place, which grows with the card beside it; the picture itself takes no room there.
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    const { data } = this;
    this.picture.setAttribute("width", String(width));
    this.picture.setAttribute("height", String(height));
    this.picture.setAttribute("aria-label", data.label);
    const layout = layOut(data, width, height);
    this.picture.replaceChildren(
      ...axisMarks(layout, data),
      ...curves(layout, data),
      ...ownMark(layout, data),
    );
    const { handle, range, rate, spoken } = data;
    this.slider.place(shareOnAxis(handle, range), 1 - rate, { value: handle, range, text: spoken });
  }
}

/** Where things lie, in pixels. */
interface Layout {
  readonly left: number;
  readonly right: number;
  readonly base: number;
  readonly x: (threshold: number) => number;
  readonly y: (share: number) => number;
}

function layOut({ range }: ThresholdData, width: number, height: number): Layout {
  const base = height - MARGIN.bottom;
  const right = width - MARGIN.right;
  return {
    left: MARGIN.left,
    right,
    base,
    x: (threshold) => MARGIN.left + shareOnAxis(threshold, range) * (right - MARGIN.left),
    y: (share) => base - clamp(share, 0, 1) * (base - MARGIN.top),
  };
}

function axisMarks({ left, right, base, x, y }: Layout, { range }: ThresholdData): SVGElement[] {
  const across = SHARES.flatMap((value) => {
    const ends = { x1: left, x2: right, y1: y(value), y2: y(value) };
    return [
      svg("line", { class: value === 0 ? "base" : "grid", ...ends }),
      text(`${value * 100}%`, { class: "share", x: left - 8, y: y(value) + 4 }),
    ];
  });
  const ticks = SCALES.log.ticks(range, Math.max(2, (right - left) / 60));
  const below = ticks.map(({ value, label }) => text(label, { x: x(value), y: base + 17 }));
  return [...across, ...below];
}

function curves(layout: Layout, { curve, range, colour }: ThresholdData): SVGElement[] {
  const inside = curve.thresholds.filter((value) => value > range[0] && value < range[1]);
  const points = [range[0], ...inside, range[1]].map((value) => outcomeAt(curve, value));
  const path = (of: "clip_rate" | "throttle"): string =>
    points
      .map((point, i) => {
        const [x, y] = [layout.x(point?.threshold ?? NaN), layout.y(point?.[of] ?? 0)];
        return `${i === 0 ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`;
      })
      .join("");
  return [
    svg("path", { class: "throttle", d: path("throttle") }),
    svg("path", { class: "rate", d: path("clip_rate"), stroke: colour }),
  ];
}

function ownMark({ left, right, base, x }: Layout, { now }: ThresholdData): SVGElement[] {
  if (!(now > 0)) return [];
  const at = x(now);
  const near = at > (left + right) / 2;
  return [
    vertical(at, MARGIN.top - 6, base, "now"),
    text(`now ${exact(now)}`, {
      class: near ? "now-label end" : "now-label",
      x: at + (near ? -5 : 5),
      y: 12,
    }),
  ];
}
