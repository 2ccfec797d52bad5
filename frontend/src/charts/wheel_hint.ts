// How one zooms with the wheel, said once to whoever turns it over a chart without the key that zooms.

const SHOWN_FOR = 2600;
/** Pixels from the pointer to the top of the words. */
const ABOVE = 40;

let said = false;

/** Tells about a wheel that was turned over an area, if nobody was told yet. */
export function tellOfKey(area: HTMLElement, event: WheelEvent): void {
  if (said) return;
  said = true;
  const hint = document.createElement("div");
  hint.className = "wheel-hint";
  hint.dataset["testid"] = "wheel-hint";
  hint.setAttribute("aria-hidden", "true"); // who has no pointer has arrow keys, and the help
  hint.textContent = `${keyName(navigator.platform)} + wheel zooms`;
  const above = event.clientY - area.getBoundingClientRect().top - ABOVE;
  hint.style.top = `${Math.max(above, 4)}px`;
  area.append(hint);
  setTimeout(() => hint.remove(), SHOWN_FOR);
}

/** What the key that zooms is called. */
export function keyName(platform: string): string {
  return /^(Mac|iP)/.test(platform) ? "\u2318" : "Ctrl";
}
