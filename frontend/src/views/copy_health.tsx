// The whole health table, to paste into a spreadsheet.

import { useSignal } from "@preact/signals";
import { healthTable } from "../model/health_table";
import { tsvText } from "../model/table";
import { explain } from "../state/explain";
import { selectedRuns } from "../state/signals";
import { copy } from "../take_away";

/** Milliseconds for which the button says that it did it. */
const SAY_FOR = 1500;

export function CopyHealth() {
  const said = useSignal("");
  const take = async (): Promise<void> => {
    try {
      await copy(tsvText(healthTable(selectedRuns.value)));
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
      data-testid="copy-health"
      onClick={() => void take()}
    >
      <span role="status">{said.value || "copy as TSV"}</span>
    </button>
  );
}
