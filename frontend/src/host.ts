// The two things asked of the page around us: tell us when data was reloaded, and keep our part of the link.
// TensorBoard publishes no library for this; the messages are JSON strings over a port that we hand to the host.

interface Message {
  readonly type: string;
  readonly id: number;
  readonly isReply: boolean;
}

const RELOADED = "experimental.DataReloaded";
const PREFIX = "p.gradclip.";

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

/** Our settings in the page's link, `#gradclip&p.gradclip.axis=relative`, without the prefix. */
export function readLink(): Map<string, string> {
  const result = new Map<string, string>();
  for (const part of hash().split("&")) {
    const at = part.indexOf("=");
    if (at < 0 || !part.startsWith(PREFIX)) continue;
    try {
      result.set(part.slice(PREFIX.length, at), decodeURIComponent(part.slice(at + 1)));
    } catch {
      // A damaged escape: as if the setting were absent.
    }
  }
  return result;
}

/** Replaces our settings in the link and leaves everybody else's as they are. */
export function writeLink(settings: ReadonlyMap<string, string>): void {
  const others = hash()
    .split("&")
    .filter((part) => part !== "" && !part.startsWith(PREFIX));
  const ours = [...settings].map(([key, value]) => `${PREFIX}${key}=${encodeURIComponent(value)}`);
  const next = `#${[...others, ...ours].join("&")}`;
  try {
    const { history, location } = window.parent;
    if (location.hash !== next) history.replaceState(history.state, "", next);
  } catch {
    // Another origin: the link simply does not carry our settings.
  }
}

/** False in a tab that is not shown: TensorBoard keeps its frame alive with no height. */
export function isShown(): boolean {
  return document.visibilityState === "visible" && window.innerHeight > 0;
}

function hash(): string {
  try {
    return window.parent.location.hash.slice(1);
  } catch {
    return "";
  }
}
