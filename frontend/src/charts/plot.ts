// Canvas, axes and lines: everything that uPlot does for us, and the only file that knows it.
//
// Runs have rows at different steps, so uPlot works in its mode 2, in which every series brings its own x. Scales are
// straight (a log axis is projected before it gets here) and never automatic, which makes drawing a pure function of
// the frame.

import uPlot from "uplot";
import type { Theme } from "../theme";

export interface PlotLine {
  readonly x: ArrayLike<number>;
  readonly y: readonly (number | null)[];
  readonly stroke: string;
  readonly width: number;
  readonly dash: readonly number[];
  readonly opacity: number;
}

export interface PlotBand {
  readonly x: ArrayLike<number>;
  readonly low: ArrayLike<number>;
  readonly high: ArrayLike<number>;
  readonly fill: string;
  /** Colour of the line around it; null for none. */
  readonly edge: string | null;
}

export interface PlotTick {
  readonly position: number;
  readonly label: string;
}

export interface Frame {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly xTicks: readonly PlotTick[];
  readonly yTicks: readonly PlotTick[];
  readonly lines: readonly PlotLine[];
  readonly bands: readonly PlotBand[];
  readonly theme: Theme;
}

/** The plot area in canvas pixels, `ratio` of them to a CSS pixel. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
}

/** CSS pixels between the edges of the chart and those of the plot area. */
export const INSETS = { left: 52, right: 12, bottom: 26 } as const;

export type Paint = (context: CanvasRenderingContext2D, area: Area) => void;

const FONT = '11px Roboto, system-ui, "Segoe UI", Helvetica, Arial, sans-serif';
const FACETS: uPlot.Series.Facet[] = [{ scale: "x" }, { scale: "y" }];
const EMPTY = [[], []] as unknown as number[];

export class Plot {
  private readonly chart: uPlot;
  private frame: Frame | null = null;

  /** `top`: pixels above the plot area. `under` and `over` paint before and after the lines. */
  constructor(element: HTMLElement, height: number, top: number, under: Paint, over: Paint) {
    this.chart = new uPlot(
      {
        mode: 2,
        width: Math.max(element.clientWidth, 1),
        height,
        padding: [top, INSETS.right, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: false, auto: false, range: (_, low, high) => [low, high] },
          y: { time: false, auto: false, range: (_, low, high) => [low, high] },
        },
        axes: [
          {
            ...this.axis((frame) => frame.xTicks),
            scale: "x",
            side: 2,
            size: INSETS.bottom,
            gap: 8,
            grid: { show: false },
          },
          { ...this.axis((frame) => frame.yTicks), scale: "y", side: 3, size: INSETS.left, gap: 8 },
        ],
        series: [{}, { facets: FACETS }],
        hooks: {
          drawAxes: [(u) => under(u.ctx, { ...u.bbox, ratio: uPlot.pxRatio })],
          draw: [(u) => over(u.ctx, { ...u.bbox, ratio: uPlot.pxRatio })],
        },
      },
      [null, EMPTY] as unknown as uPlot.AlignedData,
      element,
    );
  }

  private axis(ticks: (frame: Frame) => readonly PlotTick[]): uPlot.Axis {
    const now = (): readonly PlotTick[] => (this.frame ? ticks(this.frame) : []);
    return {
      font: FONT,
      stroke: () => this.frame?.theme.faint ?? "transparent",
      grid: { stroke: () => this.frame?.theme.grid ?? "transparent", width: 1 },
      ticks: { show: false },
      splits: () => now().map((tick) => tick.position),
      values: () => now().map((tick) => tick.label),
      // The splits are ours. Where uPlot finds no increment that fits, it hides the axis, and it knows powers of ten.
      incrs: (_u, _axis, low, high) => [Number(`1e${Math.ceil(Math.log10(high - low || 1))}`)],
      filter: (_, splits) => splits,
    };
  }

  draw(frame: Frame): void {
    this.frame = frame;
    const { chart } = this;
    chart.batch(() => {
      for (let i = chart.series.length - 1; i >= 1; i--) chart.delSeries(i);
      for (const band of frame.bands) chart.addSeries(bandSeries(band));
      for (const line of frame.lines) chart.addSeries(lineSeries(line));
      const data = [
        null,
        ...frame.bands.map((band) => [band.x, band.high, band.low]),
        ...frame.lines.map((line) => [line.x, line.y]),
      ];
      chart.setData(data as unknown as uPlot.AlignedData, false);
      chart.setScale("x", { min: frame.x[0], max: frame.x[1] });
      chart.setScale("y", { min: frame.y[0], max: frame.y[1] });
      chart.redraw(false, true); // equal ranges can have other ticks than before
    });
  }

  resize(width: number, height: number): void {
    this.chart.setSize({ width, height });
  }

  destroy(): void {
    this.chart.destroy();
  }
}

function lineSeries(line: PlotLine): uPlot.Series {
  return {
    facets: FACETS,
    auto: false,
    stroke: line.stroke,
    width: line.width,
    alpha: line.opacity,
    dash: [...line.dash],
    points: { show: true, size: 5, fill: line.stroke, filter: () => loners(line) },
  };
}

/** Rows without neighbours have no line to show them: they get a point. */
function loners({ y }: PlotLine): number[] {
  const result: number[] = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] != null && y[i - 1] == null && y[i + 1] == null) result.push(i);
  }
  return result;
}

function bandSeries(band: PlotBand): uPlot.Series {
  return {
    facets: FACETS,
    auto: false,
    fill: band.fill,
    ...(band.edge === null ? { width: 0 } : { width: 0.75, stroke: band.edge }),
    points: { show: false },
    paths: (u) => {
      const path = bandPath(u, band);
      return { stroke: band.edge === null ? null : path, fill: path };
    },
  };
}

/** Closed shapes between `low` and `high`, one for each stretch in which both are finite. */
function bandPath(u: uPlot, { x, low, high }: PlotBand): Path2D {
  const path = new Path2D();
  const move = (i: number, side: ArrayLike<number>, first: boolean): void => {
    const left = u.valToPos(x[i] as number, "x", true);
    const top = u.valToPos(side[i] as number, "y", true);
    if (first) path.moveTo(left, top);
    else path.lineTo(left, top);
  };
  const finite = (i: number): boolean => Number.isFinite(low[i]) && Number.isFinite(high[i]);
  for (let from = 0; from < x.length; from++) {
    if (!finite(from)) continue;
    let to = from;
    while (to + 1 < x.length && finite(to + 1)) to++;
    for (let i = from; i <= to; i++) move(i, high, i === from);
    for (let i = to; i >= from; i--) move(i, low, false);
    path.closePath();
    from = to;
  }
  return path;
}
