// SVG elements in one expression each.

const NAMESPACE = "http://www.w3.org/2000/svg";

export type Attributes = Readonly<Record<string, string | number>>;

export function svg(name: string, attributes: Attributes): SVGElement {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

export function text(content: string, attributes: Attributes): SVGElement {
  const element = svg("text", attributes);
  element.textContent = content;
  return element;
}

export function vertical(x: number, top: number, bottom: number, className: string): SVGElement {
  return svg("line", { class: className, x1: x, x2: x, y1: top, y2: bottom });
}
