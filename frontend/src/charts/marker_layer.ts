// Markers as buttons on top of a plot area: they can be reached with the keyboard and read aloud.

import { alertTitle, blameWords, computedWords } from "../model/health";
import { integer } from "../model/format";
import { isComputed, type AlertItem } from "../model/chart";
import type { Marker } from "../model/markers";

export class MarkerLayer {
  private buttons: HTMLButtonElement[] = [];
  private markers: readonly Marker<AlertItem>[] = [];

  constructor(
    private readonly area: HTMLElement,
    private readonly onHover: (marker: Marker<AlertItem> | null) => void,
    private readonly onPress: (marker: Marker<AlertItem>) => void,
  ) {}

  /** Buttons are kept, so that the focus survives a redraw. */
  update(markers: readonly Marker<AlertItem>[]): void {
    this.markers = markers;
    while (this.buttons.length < markers.length) this.buttons.push(this.create());
    for (const surplus of this.buttons.splice(markers.length)) surplus.remove();
    markers.forEach((marker, i) => {
      const button = this.buttons[i] as HTMLButtonElement;
      button.style.left = `${marker.pixel}px`;
      button.dataset["severity"] = marker.severity;
      button.dataset["computed"] = String(isComputed(marker));
      button.setAttribute("aria-label", describe(marker));
      (button.lastElementChild as HTMLElement).textContent = marker.labelled ? marker.label : "";
    });
  }

  private create(): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "marker";
    button.dataset["testid"] = "marker";
    button.append(document.createElement("i"), document.createElement("span"));
    const own = (): Marker<AlertItem> | null => this.markers[this.buttons.indexOf(button)] ?? null;
    const leave = (): void => this.onHover(null);
    button.addEventListener("pointerenter", () => this.onHover(own()));
    button.addEventListener("pointerleave", leave);
    button.addEventListener("focus", () => this.onHover(own()));
    button.addEventListener("blur", leave);
    button.addEventListener("dblclick", (event) => event.stopPropagation());
    button.addEventListener("click", () => {
      const marker = own();
      if (marker) this.onPress(marker);
    });
    this.area.append(button);
    return button;
  }
}

function describe(marker: Marker<AlertItem>): string {
  const sentences = marker.items.slice(0, 3).map((item) => {
    const who = blameWords(item.kind, item.departures);
    const blame = who ? ` ${who.label}: ${who.first}${who.rest}.` : "";
    const source = item.source === null ? "" : ` ${computedWords(item.source)}.`;
    return `Step ${integer(item.step)}, ${item.run}. ${alertTitle(item.kind)}: ${item.message}.${blame}${source}`;
  });
  const more = marker.items.length - sentences.length;
  // What is seen comes first: who says it aloud must find it.
  return [
    `${marker.label}.`,
    ...sentences,
    ...(more > 0 ? [`And ${more} more.`] : []),
    "Press to zoom.",
  ].join(" ");
}
