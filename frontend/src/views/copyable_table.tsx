// A table whose values can be copied one by one: with a click, or with arrow keys and Enter.

import { useSignal } from "@preact/signals";
import { explain } from "../state/explain";
import { copy } from "../take_away";

interface CopyableTableProps {
  readonly label: string;
  readonly children: preact.ComponentChildren;
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
export function CopyableTable({ label, children }: CopyableTableProps) {
  const said = useSignal("");
  const take = async (cell: HTMLTableCellElement): Promise<void> => {
    const text = cell.innerText.replace(/\s+/g, " ").trim();
    try {
      await copy(text);
      said.value = `Copied ${text}`;
      show(cell);
    } catch (error) {
      said.value = explain(error);
    }
  };
  const click = (event: MouseEvent): void => {
    const cell = cellOf(event.target);
    if (cell && String(getSelection()) === "") void take(cell);
  };
  const key = (event: preact.TargetedKeyboardEvent<HTMLElement>): void => {
    const cell = cellOf(event.target);
    const move = MOVES[event.key];
    if (move) focus(neighbour(event.currentTarget, cell, move));
    else if (event.key === "Enter" && cell) void take(cell);
    else return;
    event.preventDefault();
  };
  return (
    <div
      class="scroll copyable"
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

function show(cell: HTMLTableCellElement): void {
  cell.dataset["copied"] = "";
  setTimeout(() => delete cell.dataset["copied"], SAY_FOR);
}

/** The value that was meant; null on a button, which has a meaning of its own, and on headings. */
function cellOf(target: EventTarget | null): HTMLTableCellElement | null {
  if (!(target instanceof Element) || target.closest("button")) return null;
  return target.closest<HTMLTableCellElement>("tbody th, tbody td");
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
  return [...row.cells].filter((cell) => cell.offsetParent !== null);
}

function focus(cell: HTMLTableCellElement | null): void {
  if (!cell) return;
  cell.tabIndex = -1; // cells take the focus, but not one after the other with Tab
  cell.focus();
}
