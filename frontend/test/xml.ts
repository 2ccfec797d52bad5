// Reads XML as strictly as its grammar is for what we write: no prolog, no comments, no CDATA.

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

const TAG = /^<(\/?)([a-zA-Z][\w-]*)((?: [a-zA-Z][\w:-]*="[^"<]*")*)(\/?)>/;
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** The root. Throws where the document is not well formed. */
export function parseXml(document: string): Element {
  if (FORBIDDEN.test(document)) throw new Error("a character that XML forbids");
  const open: Element[] = [{ name: "", attributes: {}, children: [], text: "" }];
  for (let rest = document; rest !== "";) {
    const top = open[open.length - 1] as Element;
    if (!rest.startsWith("<")) {
      const end = rest.indexOf("<") < 0 ? rest.length : rest.indexOf("<");
      top.text += decoded(rest.slice(0, end));
      rest = rest.slice(end);
      continue;
    }
    const [whole, closing, name = "", list = "", empty] = TAG.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`no tag: ${rest.slice(0, 80)}`);
    rest = rest.slice(whole.length);
    if (closing === "/") {
      if (open.pop()?.name !== name) throw new Error(`</${name}> closes ${top.name}`);
      continue;
    }
    const pairs = [...list.matchAll(/ ([\w:-]+)="([^"]*)"/g)].map((m) => [
      m[1],
      decoded(m[2] ?? ""),
    ]);
    const element = { name, attributes: Object.fromEntries(pairs), children: [], text: "" };
    if (pairs.length !== Object.keys(element.attributes).length) throw new Error("attribute twice");
    top.children.push(element);
    if (empty !== "/") open.push(element);
  }
  const [root] = open;
  if (open.length !== 1 || root?.children.length !== 1) throw new Error("not one root");
  return root.children[0] as Element;
}

export function all(root: Element, name: string): Element[] {
  return root.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...all(child, name),
  ]);
}

function decoded(text: string): string {
  const bare = text.replace(/&(amp|lt|gt|quot|#39);/g, "");
  if (bare.includes("&")) throw new Error(`a bare & in ${text}`);
  const signs = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" } as const;
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: keyof typeof signs) => signs[name]);
}
