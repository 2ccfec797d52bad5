// What a person takes along from the dashboard: files, and what is copied.

/** Hands over a file. `name` is one of ours: no run has a say in it. */
export function save(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser reads it after this returns
}

/** A picture of an SVG document, `scale` pixels to one of its own. */
export async function pngOf(svg: string, scale = 2): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(image.naturalWidth * scale);
    canvas.height = Math.round(image.naturalHeight * scale);
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const png = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
    if (!png) throw new Error("The browser could not make a PNG of this size.");
    return png;
  } finally {
    URL.revokeObjectURL(address);
  }
}

/**
 * Puts a text on the clipboard. Pages that did not come over HTTPS or from this machine have none, and a frame may be
 * denied it: then in the old way, which takes what is selected. Throws where neither is allowed.
 */
export async function copy(text: string): Promise<void> {
  // Typed as always there, which it is not.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  try {
    if (clipboard) return await clipboard.writeText(text);
  } catch {
    // Denied.
  }
  if (!copySelected(text)) throw new Error("The browser does not let this page copy.");
}

function copySelected(text: string): boolean {
  const field = document.createElement("textarea");
  const focused = document.activeElement;
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return done;
}
