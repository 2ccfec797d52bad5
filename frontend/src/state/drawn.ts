// What charts over time show, each of them in its turn.

import { batch, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { ChartData } from "../model/chart";
import type { Range } from "../model/ranges";
import type { Theme } from "../theme";
import { series, shownRange, theme, type ChartName, type RunSeries } from "./signals";

/**
 * Ranges of the charts that are on the page, null of others: each takes over `shownRange` in its turn to be drawn, so
 * that what it shows there need not be worked out for all of them in one frame.
 */
export const drawnRanges: Readonly<Record<ChartName, Signal<Range | null>>> = {
  loss: signal(null),
  norm: signal(null),
  "clip-rate": signal(null),
  throttle: signal(null),
};

/** What a chart shows. It follows what there is to show when it is told to, and works nothing out before. */
export class Drawn {
  data!: ChartData;
  theme!: Theme;

  private readonly range: Signal<Range | null>;
  private readonly lines = signal<ReadonlyMap<string, RunSeries>>(series.peek());

  constructor(
    chart: ChartName,
    private readonly source: ReadonlySignal<ChartData>,
  ) {
    this.range = drawnRanges[chart];
    this.refresh();
  }

  refresh(): void {
    batch(() => {
      this.range.value = shownRange.peek();
      this.lines.value = series.peek();
      this.data = this.source.peek();
      this.theme = theme.peek();
    });
  }

  /** Whether there is anything else to show by now; for effects. */
  isOutdated(): boolean {
    // Of other lines and of another range the data is not worked out yet.
    if (series.value !== this.lines.value || shownRange.value !== this.range.value) return true;
    return this.source.value !== this.data || theme.value !== this.theme;
  }

  /** Whether it has no line yet, and there are some by now. */
  isFirst(): boolean {
    return this.data.lines.length === 0 && this.source.peek().lines.length > 0;
  }

  leave(): void {
    this.range.value = null;
  }
}
