// A table whose values can be copied one by one: with a click, or with arrow keys and Enter.

import { useSignal } from "@preact/signals";
import type { Ref } from "preact";
import { explain } from "../state/explain";
import { copy } from "../take_away";

interface CopyableTableProps {
  readonly label: string;
  readonly children: preact.ComponentChildren;
  /** The element that scrolls. */
  readonly place?: Ref<HTMLDivElement>;
  readonly onScroll?: (scrolled: number) => void;
}

const MOVES: Readonly<Record<string, readonly [rows: number, cells: number]>> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};
/** Milliseconds for which a cell says that it was copied. */
const SAY_FOR = 1200;

/** Scrolls where it must. It is one stop for the Tab key, however many cells it has. */
export function CopyableTable({ label, children, place, onScroll }: CopyableTableProps) {
  const said = useSignal("");
  const take = async (cell: HTMLTableCellElement): Promise<void> => {
    said.value = await taken(cell);
  };
  const click = (event: MouseEvent): void => {
    const cell = valueAt(event.target);
    if (cell && String(getSelection()) === "") void take(cell);
  };
  const key = (event: preact.TargetedKeyboardEvent<HTMLElement>): void => {
    const [value, move] = [valueAt(event.target), MOVES[event.key]];
    if (move) focus(neighbour(event.currentTarget, cellAt(event.target), move));
    else if (event.key === "Enter" && value) void take(value);
    else return;
    event.preventDefault();
  };
  return (
    <div
      class="scroll copyable"
      ref={place}
      onScroll={(event) => onScroll?.(event.currentTarget.scrollTop)}
      role="group"
      aria-label={`${label}: arrow keys move between values, Enter copies one`}
      tabIndex={0}
      onClick={click}
      onKeyDown={key}
    >
      {children}
      <p class="unseen" role="status">
        {said.value}
      </p>
    </div>
  );
}

/** Copies the value of a cell, and says so. */
async function taken(cell: HTMLTableCellElement): Promise<string> {
  const text = cell.innerText.replace(/\s+/g, " ").trim();
  try {
    await copy(text);
  } catch (error) {
    return explain(error);
  }
  cell.dataset["copied"] = "";
  setTimeout(() => delete cell.dataset["copied"], SAY_FOR);
  return `Copied ${text}`;
}

/** Null on headings and on a cell that is there for its button. */
function cellAt(target: EventTarget | null): HTMLTableCellElement | null {
  if (!(target instanceof Element)) return null;
  return target.closest<HTMLTableCellElement>("tbody :is(th, td):not(.for-button)");
}

/** The value that was meant; null on a button, which has a meaning of its own. */
function valueAt(target: EventTarget | null): HTMLTableCellElement | null {
  return target instanceof Element && target.closest("button") ? null : cellAt(target);
}

function neighbour(
  table: HTMLElement,
  cell: HTMLTableCellElement | null,
  [down, right]: readonly [number, number],
): HTMLTableCellElement | null {
  const rows = [...table.querySelectorAll<HTMLTableRowElement>("tbody tr")];
  if (!cell) return rows[0]?.cells[0] ?? null;
  const from = cell.parentElement as HTMLTableRowElement;
  const row = rows[rows.indexOf(from) + down];
  if (!row) return null;
  const cells = shown(row);
  return cells[Math.min(shown(from).indexOf(cell) + right, cells.length - 1)] ?? null;
}

/** Narrow pages leave columns out. */
function shown(row: HTMLTableRowElement): HTMLTableCellElement[] {
  return [...row.cells].filter((cell) => cell.offsetParent !== null && cellAt(cell) === cell);
}

function focus(cell: HTMLTableCellElement | null): void {
  if (!cell) return;
  cell.tabIndex = -1; // cells take the focus, but not one after the other with Tab
  cell.focus();
}
