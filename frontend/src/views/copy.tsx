// Copies text to the clipboard; where the page may not, selects it for the reader to copy.

import { useSignal } from "@preact/signals";
import { copy } from "../take_away";

interface CopyProps {
  readonly text: string;
  /** Said to a screen reader; what is seen is "copy". */
  readonly label: string;
  readonly testId?: string;
  readonly class?: string;
  /** The element that shows the text, which is selected where copying is not allowed. */
  readonly source: () => HTMLElement | null;
  /** Before copying. */
  readonly onCopy?: () => void;
}

type Outcome = "copied" | "selected" | null;

const SAID = { copied: "copied", selected: "press Ctrl+C" } as const;
const SAID_FOR = 2000;

export function Copy({ text, label, testId, class: look = "copy", source, onCopy }: CopyProps) {
  const outcome = useSignal<Outcome>(null);
  const take = async (): Promise<void> => {
    onCopy?.();
    outcome.value = await copied(text, source);
    setTimeout(() => (outcome.value = null), SAID_FOR);
  };
  return (
    <button
      type="button"
      class={look}
      aria-label={label}
      data-testid={testId}
      onClick={() => void take()}
    >
      <span role="status">{outcome.value ? SAID[outcome.value] : "copy"}</span>
    </button>
  );
}

async function copied(text: string, source: () => HTMLElement | null): Promise<Outcome> {
  try {
    await copy(text);
    return "copied";
  } catch {
    const element = source();
    if (element) document.getSelection()?.selectAllChildren(element);
    return "selected";
  }
}
