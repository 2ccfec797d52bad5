// Distributions over steps as an SVG document: what the canvas draws, with words and a legend.
//
// Cells are shapes and no bitmap: at most 120 steps x 97 rows on each side, all of one strength a single path, some
// 25 bytes a cell, so half a megabyte at most.

import { finePercent } from "../model/format";
import { peakOf } from "../model/histogram_map";
import { HEIGHT, heightOf, layOut, type HistogramMapData } from "./histogram_map_chart";
import { paintMaps, type MapArea } from "./histogram_map_paint";
import { label, ramp, headed, type Words } from "./svg_parts";
import { SvgPen } from "./svg_pen";

const LEGEND = 40;
const STRENGTHS = 32;

/** The whole document. Texts are data: whatever a run is called, its name is only ever text. */
export function histogramMapSvg(data: HistogramMapData, words: Words, width: number): string {
  const [pen, areas] = [new SvgPen(), layOut(width, HEIGHT)];
  const bottom = heightOf(areas);
  paintMaps(pen, areas, data);
  const [first, last] = [areas[0], areas[areas.length - 1]] as [MapArea, MapArea];
  label(pen, "step", last.left + last.width, bottom + 8, data.theme.soft, "right");
  legend(pen, data, last.labelled ? last.left : first.left, bottom);
  const picture = { content: pen.content, width, height: bottom + LEGEND };
  return headed(words, picture, data.theme);
}

/** Strength is the root of a share, up to the largest one before clipping. */
function legend(pen: SvgPen, data: HistogramMapData, x: number, y: number): void {
  const peak = peakOf(data.map);
  if (!(peak > 0)) return;
  const colours = Array.from({ length: STRENGTHS }, (_, i) => {
    return [data.colour, (i + 1) / STRENGTHS] as const;
  });
  const ticks = [0, 0.5, 1].map((position) => ({
    position,
    label: finePercent(peak * position ** 2),
  }));
  ramp(pen, { title: "share of gradients", colours, ticks }, x, y, data.theme);
}
