// Undoes what tb_gradclip/offline/numbers.py does to numbers so that they deflate better.

interface Condensed {
  /** Where numbers of `word` bytes begin. */
  readonly start: number;
  readonly word: number;
}

/** The body as the server sent it: its words put together of planes of bytes. */
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
  return result.buffer;
}
