/** A binary body as the page about the HTTP API describes it: length of the header, header, numbers. */
export function framedBody(header: object, blocks: readonly ArrayBufferView[]): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((4 + text.length) / 8) * 8;
  const size = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const body = new ArrayBuffer(start + size);
  const bytes = new Uint8Array(body).fill(32, 4, start);
  bytes.set(text, 4);
  new DataView(body).setUint32(0, start - 4, true);
  let at = start;
  for (const { buffer, byteOffset, byteLength } of blocks) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return body;
}
