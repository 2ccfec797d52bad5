// An SVG that stands in the page as a document of its own: style sheets stay behind, so what they say is written down.

import type { Theme } from "../theme";
import { FONT_FAMILY } from "./paint";
import { svg, text } from "./svg";
import { clean } from "./svg_markup";
import { headingHeight, LINE, MARGIN, type Words } from "./svg_parts";

const STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-opacity",
  "opacity",
  "paint-order",
  "text-anchor",
  "font-size",
  "font-weight",
] as const;

export function pageSvg(picture: Element, words: Words, theme: Theme): string {
  const [box, { title, lines }] = [picture.getBoundingClientRect(), words];
  const [width, top] = [Math.ceil(box.width) + 2 * MARGIN, headingHeight(words)];
  const height = Math.ceil(box.height) + top + MARGIN;
  const style = { "font-family": FONT_FAMILY, "font-size": 11, fill: theme.soft };
  const document = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, ...style });
  const heading = { x: MARGIN, y: 21, "font-size": 13, "font-weight": 600, fill: theme.ink };
  const place = svg("g", { transform: `translate(${MARGIN} ${top})` });
  place.append(...pictureOf(picture));
  document.append(
    svg("rect", { width, height, fill: theme.card }),
    text(title, heading),
    ...lines.map((line, i) => text(line, { x: MARGIN, y: 40 + i * LINE })),
    place,
  );
  return clean(new XMLSerializer().serializeToString(document));
}

function pictureOf(picture: Element): Element[] {
  const copy = picture.cloneNode(true) as Element;
  const originals = picture.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, i) => {
    const computed = getComputedStyle(originals[i] as Element);
    for (const name of STYLES) element.setAttribute(name, computed.getPropertyValue(name));
    element.removeAttribute("class");
    element.removeAttribute("style");
  });
  return [...copy.children];
}
