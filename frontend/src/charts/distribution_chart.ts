// Two histograms over each other on a signed log axis: before as a dashed outline, after as a filled shape.

import {
  bars,
  outline,
  powerTicks,
  shareAbove,
  signedLogAxis,
  type Bar,
  type Histogram,
  type SignedLogAxis,
} from "../model/density";
import { number, percent, power } from "../model/format";
import { clamp } from "../model/ranges";
import { svg, text, vertical } from "./svg";

export interface DistributionData {
  readonly before: Histogram;
  readonly after: Histogram;
  /** Values beyond which a rule cuts; empty when the rule looks at norms. */
  readonly limits: readonly number[];
  /** Gradients that are finite, zeros included. */
  readonly finite: number;
  readonly colour: string;
  readonly label: string;
}

export interface DistributionOptions {
  readonly height?: number;
}

/** Where things lie, in pixels. */
interface Layout {
  readonly axis: SignedLogAxis;
  readonly width: number;
  readonly base: number;
  readonly x: (position: number) => number;
  readonly y: (density: number) => number;
}

const MARGIN = { left: 14, right: 14, top: 20, bottom: 22 } as const;
/** Labels nearer than this to the zero in the middle would run into it. */
const LABEL_SPACE = 34;
/** Half of the probe's sentence, which stays inside the chart. */
const PROBE_SPACE = 140;

export class DistributionChart {
  private readonly picture = svg("svg", { role: "img" });
  private readonly probe = svg("g", {});
  private readonly height: number;
  private readonly observer: ResizeObserver;
  /** Of the newest drawing; null when there was nothing to draw. */
  private layout: Layout | null = null;

  constructor(
    private readonly element: HTMLElement,
    private data: DistributionData,
    { height = 200 }: DistributionOptions = {},
  ) {
    this.height = height;
    element.append(this.picture);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    element.addEventListener("pointermove", this.showProbe);
    element.addEventListener("pointerleave", this.hideProbe);
    this.draw();
  }

  update(data: DistributionData): void {
    this.data = data;
    this.draw();
  }

  destroy(): void {
    this.observer.disconnect();
    this.element.removeEventListener("pointermove", this.showProbe);
    this.element.removeEventListener("pointerleave", this.hideProbe);
    this.picture.remove();
  }

  private draw(): void {
    const width = this.element.clientWidth;
    if (width === 0) return;
    const { before, after, label } = this.data;
    const empty = before.counts.length + after.counts.length === 0;
    this.layout = empty ? null : layOut(this.data, width, this.height);
    this.picture.setAttribute("width", String(width));
    this.picture.setAttribute("height", String(this.height));
    this.picture.setAttribute("aria-label", label);
    this.probe.replaceChildren();
    this.picture.replaceChildren(
      ...(this.layout
        ? [...axisMarks(this.layout), ...shapes(this.layout, this.data), this.probe]
        : [text("nothing finite other than zero", { x: width / 2, y: this.height / 2 })]),
    );
  }

  /** Says how many gradients are larger than the one under the pointer. */
  private readonly showProbe = (event: PointerEvent): void => {
    if (!this.layout) return;
    const { axis, width, base } = this.layout;
    const { before, after, finite } = this.data;
    const at = event.clientX - this.element.getBoundingClientRect().left;
    const share = (at - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
    const size = Math.abs(axis.value((share - 0.5) * 2 * axis.reach));
    const [was, is] = [before, after].map((one) => percent(shareAbove(one, finite, size)));
    const x = width > 2 * PROBE_SPACE ? clamp(at, PROBE_SPACE, width - PROBE_SPACE) : width / 2;
    this.probe.replaceChildren(
      vertical(at, MARGIN.top, base, "probe"),
      text(`larger than ${number(size)}: ${was} before, ${is} after`, { class: "said", x, y: 11 }),
    );
  };

  private readonly hideProbe = (): void => this.probe.replaceChildren();
}

function layOut(
  { before, after, limits }: DistributionData,
  width: number,
  height: number,
): Layout {
  const axis = signedLogAxis([before, after], limits);
  const base = height - MARGIN.bottom;
  const inner = width - MARGIN.left - MARGIN.right;
  // Cutting piles values up at the limits: such a needle may leave the top rather than flatten all the rest.
  const scaled = limits.length > 0 && before.counts.length > 0 ? [before] : [before, after];
  const densities = scaled.flatMap((one) => bars(one, axis).map((bar) => bar.density));
  const peak = Math.max(...densities, Number.MIN_VALUE);
  return {
    axis,
    width,
    base,
    x: (position) => MARGIN.left + (position / axis.reach / 2 + 0.5) * inner,
    y: (density) => base - Math.min(density / peak, 1) * (base - MARGIN.top),
  };
}

function axisMarks({ axis, width, base, x }: Layout): SVGElement[] {
  const middle = x(0);
  const marks = powerTicks(axis, width / 50).flatMap((value) => {
    const at = x(axis.position(value));
    if (value !== 0 && Math.abs(at - middle) < LABEL_SPACE) return [];
    return [vertical(at, MARGIN.top, base, "grid"), text(power(value), { x: at, y: base + 16 })];
  });
  const ends = { x1: MARGIN.left, x2: width - MARGIN.right, y1: base, y2: base };
  return [...marks, svg("line", { class: "base", ...ends })];
}

function shapes(layout: Layout, { before, after, limits, colour }: DistributionData): SVGElement[] {
  const { axis, base, x } = layout;
  const shape = (list: readonly Bar[], className: string, fill: string): SVGElement =>
    svg("path", { class: className, d: path(list, layout), fill, stroke: fill });
  const beforeBars = bars(before, axis);
  return [
    shape(bars(after, axis), "after", colour),
    shape(beyond(beforeBars, limits.map(axis.position)), "cut", "none"),
    shape(beforeBars, "before", "none"),
    ...limits.flatMap((limit) => {
      const at = x(axis.position(limit));
      return [
        vertical(at, MARGIN.top - 2, base, "limit"),
        text(number(limit), { class: "limit-label", x: at, y: MARGIN.top - 6 }),
      ];
    }),
  ];
}

function path(list: readonly Bar[], { x, y }: Layout): string {
  return outline(list)
    .map(([position, density], i) => {
      return `${i === 0 ? "M" : "L"}${x(position).toFixed(1)},${y(density).toFixed(1)}`;
    })
    .join("");
}

/** The parts of the bars that lie outside the limits. */
function beyond(list: readonly Bar[], limits: readonly number[]): Bar[] {
  if (limits.length === 0) return [];
  const low = Math.min(...limits);
  const high = Math.max(...limits);
  return list.flatMap((bar) => [
    ...(bar.from < low ? [{ ...bar, to: Math.min(bar.to, low) }] : []),
    ...(bar.to > high ? [{ ...bar, from: Math.max(bar.from, high) }] : []),
  ]);
}
