// An SVG that stands in the page as a document of its own: style sheets stay behind, so what they say is written down.

import type { Theme } from "../theme";
import { FONT_FAMILY } from "./paint";
import { svg } from "./svg";
import { clean } from "./svg_markup";
import { MARGIN, headed, type Words } from "./svg_parts";

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

export function pageSvg(shown: Element, words: Words, theme: Theme): string {
  const { width, height } = shown.getBoundingClientRect();
  const group = svg("g", { "font-family": FONT_FAMILY, "font-size": 11, fill: theme.soft });
  group.append(...pictureOf(shown));
  const picture = {
    content: clean(new XMLSerializer().serializeToString(group)),
    at: [MARGIN, 0] as const,
    width: Math.ceil(width) + MARGIN,
    height: Math.ceil(height) + MARGIN,
  };
  return headed(words, picture, theme);
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
