// A "?" that says what a panel shows, how to read it, and what to do when it looks bad.

import { useRef } from "preact/hooks";
import { HELP, type HelpKey } from "../model/help";
import { clamp } from "../model/ranges";

/** Between the button and the text, and between the text and the edge of the window. */
const SPACE = 6;

export function Help({ of }: { readonly of: HelpKey }) {
  const { title } = HELP[of];
  const button = useRef<HTMLButtonElement>(null);
  const id = `help-${of}`;
  return (
    <>
      <button
        ref={button}
        type="button"
        class="quiet help-button"
        popovertarget={id}
        aria-label={`Help: ${title}`}
        data-testid={id}
      >
        ?
      </button>
      {/* A popover of the browser's own: Escape and a press elsewhere close it, and the focus goes back. */}
      <div
        id={id}
        popover="auto"
        class="help"
        role="dialog"
        aria-label={`Help: ${title}`}
        tabIndex={-1}
        data-testid={`${id}-text`}
        onToggle={(event) => opened(event.currentTarget, button.current)}
      >
        <Text of={of} />
      </div>
    </>
  );
}

function Text({ of }: { readonly of: HelpKey }) {
  const { title, shows, reading, remedy, formulas } = HELP[of];
  return (
    <>
      <h3>{title}</h3>
      <p>{shows}</p>
      <h4>How to read it</h4>
      <p>{reading}</p>
      <h4>When it looks bad</h4>
      <p>{remedy}</p>
      {formulas.length > 0 && <h4>How it is computed</h4>}
      {formulas.map((formula) => (
        <p key={formula} class="formula">
          {formula}
        </p>
      ))}
    </>
  );
}

/** Puts the text below its button, or above it where there is more room, and gives it the focus. */
function opened(text: HTMLElement, button: HTMLElement | null): void {
  if (!button || !text.matches(":popover-open")) return;
  const near = button.getBoundingClientRect();
  const { innerWidth, innerHeight } = window;
  const { offsetWidth: width, offsetHeight: height } = text;
  const below = near.bottom + SPACE;
  const top = below + height + SPACE <= innerHeight ? below : near.top - SPACE - height;
  text.style.left = `${clamp(near.right - width, SPACE, Math.max(SPACE, innerWidth - width - SPACE))}px`;
  text.style.top = `${clamp(top, SPACE, Math.max(SPACE, innerHeight - height - SPACE))}px`;
  text.focus({ preventScroll: true });
}
