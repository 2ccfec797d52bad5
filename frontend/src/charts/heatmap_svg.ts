// The heatmap as an SVG document: rows that do not fit on the screen too, with words and a legend.
//
// Cells are shapes and no bitmap: neighbours of one level are one rectangle and all of a level one path, so that 100
// rows x 300 windows of which no two are alike take 750 KB. Of more rows a picture would be higher than a page.

import { rowHeight } from "../model/heatmap";
import { clamp } from "../model/ranges";
import type { Theme } from "../theme";
import { paintBroken, paintHeatmap, type HeatmapData, type HeatmapLayout } from "./heatmap_paint";
import { font } from "./paint";
import { label, MARGIN, ramp, headed, type Ramp, type Words } from "./svg_parts";
import { SvgPen } from "./svg_pen";

/** Rows of a picture. */
export const MOST_ROWS = 100;
const ABOVE = 4;
const AXIS = 26;
const LEGEND = 44;
const RIGHT = 14;
const ROOM = 312;
const NAMES = { share: 0.36, least: 24 } as const;

export interface HeatmapLegend extends Pick<Ramp, "title" | "ticks"> {
  /** Whether any cell has no finite norm. */
  readonly broken: boolean;
}

/** The whole document; of more rows than `MOST_ROWS`, those from `first` on. Texts are data, and only ever text. */
export function heatmapSvg(
  data: HeatmapData,
  words: Words,
  legend: HeatmapLegend,
  { width, first }: { readonly width: number; readonly first: number },
  theme: Theme,
): string {
  const pen = new SvgPen();
  const layout = layOut(data, width, first, pen);
  paintHeatmap(pen, layout, data, theme);
  const bottom = layout.height + AXIS;
  label(pen, "step", layout.left + layout.width, bottom + 8, theme.soft, "right");
  const shown: Ramp = { ...legend, colours: data.palette.map((colour) => [colour, 1] as const) };
  const end = ramp(pen, shown, MARGIN, bottom + 12, theme);
  if (legend.broken) brokenKey(pen, end + 24, bottom + 12, theme);
  const picture = { content: pen.content, at: [0, ABOVE] as const, width, height: bottom + LEGEND };
  return headed(words, picture, theme);
}

function layOut(data: HeatmapData, width: number, first: number, pen: SvgPen): HeatmapLayout {
  const { names } = data;
  const [rows, tall] = [Math.min(names.length, MOST_ROWS), rowHeight(names.length, ROOM)];
  pen.font = font(11, "600");
  const from = clamp(Math.floor(first), 0, names.length - rows);
  const widest = names.slice(from, from + rows).map((name) => pen.measureText(name).width + 16);
  const left = clamp(Math.max(0, ...widest), NAMES.least, width * NAMES.share);
  return {
    left,
    width: width - left - RIGHT,
    height: rows * tall,
    rowHeight: tall,
    scrolled: from * tall,
  };
}

function brokenKey(pen: SvgPen, x: number, y: number, theme: Theme): void {
  pen.fillStyle = theme.error;
  paintBroken(pen, x, y, 18, 8);
  label(pen, "no finite norm", x + 24, y + 8, theme.soft);
}
