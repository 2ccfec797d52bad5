// Which run the panels below the charts are about.

import { focus, selectedRuns, setFocus } from "../state/signals";

interface RunPickerProps {
  /** Whose run it is, for a screen reader. */
  readonly of: string;
  readonly testId: string;
}

export function RunPicker({ of, testId }: RunPickerProps) {
  return (
    <select
      aria-label={`Run of the ${of}`}
      data-testid={testId}
      value={focus.value?.name ?? ""}
      onChange={(event) => setFocus(event.currentTarget.value)}
    >
      {selectedRuns.value.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
