// Markers on top of a plot area. Where pressing them does something they are buttons: they can be reached with the
// keyboard and read aloud. Elsewhere they are pictures, which are only read.

import { alertKey, isSame } from "../model/alerts";
import { alertTitle, blameWords, computedWords } from "../model/health";
import { integer } from "../model/format";
import { isComputed, type AlertItem } from "../model/chart";
import type { Marker } from "../model/markers";

export interface MarkerHandlers {
  readonly onHover: (marker: Marker<AlertItem> | null) => void;
  readonly onPress: (marker: Marker<AlertItem>) => void;
}

export class MarkerLayer {
  private marks: HTMLElement[] = [];
  private markers: readonly Marker<AlertItem>[] = [];
  /** While the focus goes where its alert is now: nobody points at anything else. */
  private moving = false;

  /** `handlers`: null where markers only show where alerts are. */
  constructor(
    private readonly area: HTMLElement,
    private readonly handlers: MarkerHandlers | null,
  ) {}

  /** Marks are kept, so that a redraw costs little; the focus stays with the alert that it was on. */
  update(markers: readonly Marker<AlertItem>[]): void {
    const focused = this.markers[this.marks.indexOf(document.activeElement as HTMLElement)];
    this.markers = markers;
    while (this.marks.length < markers.length) this.marks.push(this.create());
    markers.forEach((marker, i) => {
      const mark = this.marks[i] as HTMLElement;
      const words = describe(marker);
      mark.style.left = `${marker.pixel}px`;
      mark.dataset["severity"] = marker.severity;
      mark.dataset["computed"] = String(isComputed(marker));
      mark.setAttribute("aria-label", this.handlers ? `${words} Press to zoom.` : words);
      if (!this.handlers) mark.title = words;
      (mark.lastElementChild as HTMLElement).textContent = marker.labelled ? marker.label : "";
    });
    if (focused) this.keepFocus(focused);
    for (const surplus of this.marks.splice(markers.length)) surplus.remove();
  }

  /** Moves the focus to the marker that has the first alert of one that was focused now, else to the chart around. */
  private keepFocus({ items }: Marker<AlertItem>): void {
    const first = items[0] && alertKey(items[0]);
    const now = this.markers.findIndex((marker) => {
      return first && marker.items.some((item) => isSame(first, alertKey(item)));
    });
    const next = this.marks[now] ?? this.area.closest<HTMLElement>("[tabindex]");
    if (next === document.activeElement) return;
    this.moving = now >= 0;
    next?.focus({ preventScroll: true });
    this.moving = false;
  }

  private create(): HTMLElement {
    const { handlers } = this;
    const mark = document.createElement(handlers ? "button" : "span");
    mark.className = "marker";
    mark.dataset["testid"] = "marker";
    mark.append(document.createElement("i"), document.createElement("span"));
    this.area.append(mark);
    if (!handlers) mark.setAttribute("role", "img");
    else this.listen(mark as HTMLButtonElement, handlers);
    return mark;
  }

  private listen(button: HTMLButtonElement, { onHover, onPress }: MarkerHandlers): void {
    const own = (): Marker<AlertItem> | null => this.markers[this.marks.indexOf(button)] ?? null;
    const point = (marker: Marker<AlertItem> | null): void => {
      if (!this.moving) onHover(marker);
    };
    button.type = "button";
    button.addEventListener("pointerenter", () => point(own()));
    button.addEventListener("pointerleave", () => point(null));
    button.addEventListener("focus", () => point(own()));
    button.addEventListener("blur", () => point(null));
    button.addEventListener("dblclick", (event) => event.stopPropagation());
    button.addEventListener("click", () => {
      const marker = own();
      if (marker) onPress(marker);
    });
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
  return [`${marker.label}.`, ...sentences, ...(more > 0 ? [`And ${more} more.`] : [])].join(" ");
}
