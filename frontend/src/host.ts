// What is asked of the page around us: to tell when data was reloaded, and to keep our part of the link.
// TensorBoard publishes no library for this; the messages are JSON strings over a port that we hand to the host.

interface Message {
  readonly type: string;
  readonly id: number;
  readonly isReply: boolean;
}

const RELOADED = "experimental.DataReloaded";
const TAB = "gradclip";
const PREFIX = "p.gradclip.";

type Link = ReadonlyMap<string, string>;

/** Calls back each time TensorBoard says that it read new data. Does nothing outside TensorBoard. */
export function onDataReloaded(reloaded: () => void): void {
  if (window.parent === window) return;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = (event: MessageEvent<string>) => {
    const message = JSON.parse(event.data) as Message;
    if (message.isReply) return;
    if (message.type === RELOADED) reloaded();
    // The host waits for an answer to each of its messages.
    const { type, id } = message;
    port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
  };
  try {
    window.parent.postMessage("experimental.bootstrap", window.location.origin, [port2]);
  } catch {
    // Another origin: our own polling still finds new data.
  }
}

/** Our parts of the link as they were last read or written: when others are found there, somebody changed it. */
let known: readonly string[] = [];

/** Our settings in the page's link, `#gradclip&p.gradclip.axis=relative`, without the prefix. */
export function readLink(): Link {
  known = parts().filter(isOurs);
  const result = new Map<string, string>();
  for (const part of known) {
    const at = part.indexOf("=");
    if (at < 0) continue;
    try {
      result.set(part.slice(PREFIX.length, at), decodeURIComponent(part.slice(at + 1)));
    } catch {
      // A damaged escape: as if the setting were absent.
    }
  }
  return result;
}

/**
 * Replaces our settings in the link and leaves everybody else's as they are. Those that somebody else put there in the
 * meantime are taken instead: the browser tells of them later than it shows them.
 */
export function writeLink(settings: Link): void {
  if (parts().some(isOurs) && isChanged()) tellOfChange();
  else write([...settings].map(([key, value]) => `${PREFIX}${key}=${encodeURIComponent(value)}`));
}

/** What is done about it when somebody else changed the link. */
let changed: () => void = () => undefined;

/**
 * Calls back when the page that is open got another link, pasted or gone back to; writing it does not call. A link to
 * the tab that has no settings says nothing of them, and gets those that there are.
 */
export function onLinkChanged(call: () => void): void {
  changed = call;
  try {
    const { parent } = window;
    parent.addEventListener("hashchange", tellOfChange);
    window.addEventListener("pagehide", ({ persisted }) => {
      if (!persisted) parent.removeEventListener("hashchange", tellOfChange);
    });
  } catch {
    // Another origin: its link is not ours to read.
  }
}

function tellOfChange(): void {
  if (!isChanged()) return;
  if (parts().some(isOurs)) changed();
  else if (["", TAB].includes(parts()[0] ?? "")) write(known);
}

function isChanged(): boolean {
  return parts().filter(isOurs).join("&") !== known.join("&");
}

/** False in a tab that is not shown: TensorBoard keeps its frame alive with no height. */
export function isShown(): boolean {
  return document.visibilityState === "visible" && window.innerHeight > 0;
}

function write(ours: readonly string[]): void {
  known = ours;
  const others = parts().filter((part) => part !== "" && !isOurs(part));
  const next = `#${[...others, ...ours].join("&")}`;
  try {
    const { history, location } = window.parent;
    if (location.hash !== next) history.replaceState(history.state, "", next);
  } catch {
    // Another origin: the link simply does not carry our settings.
  }
}

function isOurs(part: string): boolean {
  return part.startsWith(PREFIX);
}

/** What stands between the marks of the link. */
function parts(): string[] {
  try {
    return window.parent.location.hash.slice(1).split("&");
  } catch {
    return [];
  }
}
