// Which run the panels below the charts are about.

import { focus, recordedRuns, setFocus } from "../state/signals";

interface RunPickerProps {
  /** Whose run it is, for a screen reader. */
  readonly of: string;
  readonly testId: string;
}

export function RunPicker({ of, testId }: RunPickerProps) {
  if (recordedRuns.value.length === 0) return null;
  return (
    <select
      title={focus.value?.name}
      aria-label={`Run of the ${of}`}
      data-testid={testId}
      value={focus.value?.name ?? ""}
      onChange={(event) => setFocus(event.currentTarget.value)}
    >
      {recordedRuns.value.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
