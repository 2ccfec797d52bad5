// A button of a panel that opens a menu of what it can be taken along as.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { explain } from "../state/explain";
import { download, type Exported, type Format } from "../state/export";

const FORMATS: readonly (readonly [Format, string, string])[] = [
  ["svg", "SVG", "a drawing, with axes and legend"],
  ["png", "PNG", "a picture, at twice the size"],
  ["csv", "CSV", "the numbers, with all their digits"],
];

/** Pixels between a menu and the edge of the window. */
const EDGE = 6;

interface ExportMenuProps extends Exported {
  /** Of the panel, for those who cannot see where the button stands. */
  readonly label: string;
}

export function ExportMenu({ label, ...exported }: ExportMenuProps) {
  const open = useSignal(false);
  const place = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const leave = (event: FocusEvent): void => {
    if (!place.current?.contains(event.relatedTarget as Node | null)) open.value = false;
  };
  const close = (): void => {
    // A file may be ready after somebody has closed the menu and gone elsewhere: the focus stays there.
    const within = place.current?.contains(document.activeElement) === true;
    open.value = false;
    if (within) button.current?.focus();
  };
  return (
    <span class="export" ref={place} onFocusOut={leave}>
      <button
        type="button"
        class="quiet"
        ref={button}
        aria-haspopup="menu"
        aria-expanded={open.value}
        aria-label={`Export ${label}`}
        data-testid={`export-${exported.name}`}
        onClick={() => (open.value = !open.value)}
      >
        export
      </button>
      {open.value && <Menu label={label} exported={exported} close={close} />}
    </span>
  );
}

interface MenuProps {
  readonly label: string;
  readonly exported: Exported;
  readonly close: () => void;
}

/** Arrow keys move within, Escape closes: as menus do. */
function Menu({ label, exported, close }: MenuProps) {
  const said = useSignal<string | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const items = (): HTMLElement[] => [...(list.current?.querySelectorAll("button") ?? [])];
  useLayoutEffect(() => {
    if (list.current) keepInView(list.current);
    items()[0]?.focus();
  }, []);
  const take = async (format: Format): Promise<void> => {
    said.value = "preparing…";
    try {
      await download(exported, format);
      close();
    } catch (error) {
      said.value = explain(error);
    }
  };
  const key = (event: KeyboardEvent): void => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (next !== undefined) all.at(next % all.length)?.focus();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  };
  return (
    <div class="menu" ref={list} onKeyDown={key}>
      <div role="menu" aria-label={`Export ${label} as`}>
        {FORMATS.filter(([format]) => format !== "csv" || exported.csv).map((format) => (
          <Item key={format[0]} format={format} take={take} />
        ))}
      </div>
      <p role="status">{said.value}</p>
    </div>
  );
}

/** Moves a menu that begins left of the window, and opens one upwards that would end below it. */
function keepInView(menu: HTMLElement): void {
  const { left, bottom, height, top } = menu.getBoundingClientRect();
  if (left < EDGE) menu.style.right = `${left - EDGE}px`;
  if (bottom > window.innerHeight && top - height > 0) {
    Object.assign(menu.style, { top: "auto", bottom: "100%" });
  }
}

interface ItemProps {
  readonly format: (typeof FORMATS)[number];
  readonly take: (format: Format) => Promise<void>;
}

function Item({ format: [format, name, words], take }: ItemProps) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      data-testid={`export-${format}`}
      onClick={() => void take(format)}
    >
      <b>{name}</b> {words}
    </button>
  );
}
