// A whole table, to paste into a spreadsheet.

import { useSignal } from "@preact/signals";
import { tsvText, type Cell } from "../model/table";
import { explain } from "../state/explain";
import { copy } from "../take_away";

/** Milliseconds for which the button says that it did it. */
const SAY_FOR = 1500;

interface CopyTableProps {
  readonly testId: string;
  readonly cells: () => readonly (readonly Cell[])[];
}

export function CopyTable({ testId, cells }: CopyTableProps) {
  const said = useSignal("");
  const take = async (): Promise<void> => {
    try {
      await copy(tsvText(cells()));
      said.value = "copied";
    } catch (error) {
      said.value = explain(error);
    }
    setTimeout(() => (said.value = ""), SAY_FOR);
  };
  return (
    <button
      type="button"
      class="quiet"
      title="Tab-separated values, all digits, to paste into a spreadsheet"
      data-testid={testId}
      onClick={() => void take()}
    >
      <span role="status">{said.value || "copy as TSV"}</span>
    </button>
  );
}
