// SVG as text, in which texts are only ever text.

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Not allowed in XML, escaped or not: most control characters, and halves of characters. */
const FORBIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Markup without what XML forbids anywhere. */
export function clean(text: string): string {
  return text.replace(FORBIDDEN, "\ufffd");
}

/** Text that is nothing but text in XML, between tags and in attributes. */
export function escaped(text: string): string {
  return clean(text)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}

/** One element. `content` is markup. */
export function markup(name: string, attributes: Attributes, content = ""): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
    .join("");
  return content === "" ? `<${name}${list}/>` : `<${name}${list}>${content}</${name}>`;
}
