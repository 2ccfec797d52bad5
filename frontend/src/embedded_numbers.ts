// Undoes what tb_gradclip/offline/numbers.py does to numbers so that they deflate better.

interface Condensed {
  /** Where numbers of `word` bytes begin. */
  readonly start: number;
  readonly word: number;
}

/** The body as the server sent it: its words put together of planes of bytes, each added to the one before. */
export function restored(body: Uint8Array, { start, word }: Condensed): ArrayBuffer {
  const result = new Uint8Array(body);
  if (word === 0) return result.buffer;
  const planes = body.subarray(start);
  const count = planes.length / word;
  for (let plane = 0; plane < word; plane++) {
    const from = plane * count;
    for (let i = 0; i < count; i++) {
      result[start + i * word + plane] = planes[from + i] as number;
    }
  }
  addUp(new DataView(result.buffer, start), word);
  return result.buffer;
}

/** Replaces each word by the sum of all up to it, which wraps around. */
function addUp(view: DataView, word: number): void {
  let [low, high] = [0, 0];
  for (let at = 0; at < view.byteLength; at += word) {
    const sum = low + view.getUint32(at, true);
    low = sum >>> 0;
    view.setUint32(at, low, true);
    if (word === 8) {
      high = (high + view.getUint32(at + 4, true) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
      view.setUint32(at + 4, high, true);
    }
  }
}
