// Names in batches that fit into an address each.

/** In characters as they are escaped; servers take some 65,000 for all of a request's first line. */
export const LONGEST = 32_000;
export const MOST = 25;

/** In order, at most `most` together and no longer than `longest` escaped; a longer one comes alone. */
export function batches<T extends { readonly name: string }>(
  items: readonly T[],
  most = MOST,
  longest = LONGEST,
): T[][] {
  const result: T[][] = [];
  let room = 0;
  for (const item of items) {
    // As forms do: unlike encodeURIComponent, it does not fail on halves of characters.
    const length = new URLSearchParams({ run: item.name }).toString().length + 1;
    const last = result.at(-1);
    if (last && last.length < most && length <= room) {
      last.push(item);
      room -= length;
    } else {
      result.push([item]);
      room = longest - length;
    }
  }
  return result;
}
