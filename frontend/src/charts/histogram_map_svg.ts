// Distributions over steps as an SVG document: what the canvas draws, with words and a legend.
//
// Cells are shapes and no bitmap: at most 120 steps x 97 rows on each side, all of one strength a single path, some
// 25 bytes a cell, so half a megabyte at most.

import { finePercent } from "../model/format";
import { peakOf } from "../model/histogram_map";
import { HEIGHT, heightOf, layOut, SIDES, type HistogramMapData } from "./histogram_map_chart";
import { mapAxes, paintCells, paintGround, paintMarks, type MapArea } from "./histogram_map_paint";
import {
  documentOf,
  heading,
  headingHeight,
  label,
  moved,
  page,
  ramp,
  type Words,
} from "./svg_parts";
import { SvgPen } from "./svg_pen";

const LEGEND = 40;
const STRENGTHS = 32;

/** The whole document. Texts are data: whatever a run is called, its name is only ever text. */
export function histogramMapSvg(data: HistogramMapData, words: Words, width: number): string {
  const [picture, { theme }] = [new SvgPen(), data];
  const areas = layOut(width, HEIGHT);
  const [top, bottom, peak] = [headingHeight(words), heightOf(areas), peakOf(data.map)];
  const height = top + bottom + LEGEND;
  const paper = page(width, height, theme);
  heading(paper, words, theme);
  SIDES.forEach((side, i) => {
    const area = areas[i] as MapArea;
    paintGround(picture, area, data);
    picture.tiles(() => paintCells(picture, area, side, data, peak));
    paintMarks(picture, area, data);
    mapAxes(picture, area, side, data);
  });
  const last = areas[areas.length - 1] as MapArea;
  label(picture, "step", last.left + last.width, bottom + 8, theme.soft, "right");
  legend(paper, data, peak, last.labelled ? last.left : (areas[0] as MapArea).left, top + bottom);
  return documentOf(width, height, words.title, paper.content + moved(picture, 0, top));
}

/** Strength is the root of a share, up to the largest one before clipping. */
function legend(pen: SvgPen, data: HistogramMapData, peak: number, x: number, y: number): void {
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
