// Run colours: ten hues that stay apart for colour-blind eyes, with a lighter shade for dark pages where the
// first one would drown.

/** The clearest ones come first and are used up before the others. */
const TIER = 5;
const PALETTE: readonly (readonly [light: string, dark: string])[] = [
  ["#4269d0", "#6c8cff"],
  ["#d99a00", "#efb118"],
  ["#3ca951", "#4fc267"],
  ["#f2604a", "#ff725c"],
  ["#a463f2", "#b67dff"],
  ["#43a593", "#6cc5b0"],
  ["#e86a9b", "#ff8ab7"],
  ["#5f9be8", "#97bbf5"],
  ["#9c6b4e", "#c08e6e"],
  ["#7d828c", "#a5abb5"],
];

export type Slots = ReadonlyMap<string, number>;

/**
 * A palette slot for every name. A run keeps the slot it has; a new one takes the slot that its name hashes to
 * unless another run has it and a free one is left, so colours neither depend on what is selected nor repeat
 * before they must.
 */
export function assignSlots(names: readonly string[], previous: Slots = new Map()): Slots {
  const slots = new Map<string, number>();
  const uses = new Array<number>(PALETTE.length).fill(0);
  const give = (name: string, slot: number): void => {
    slots.set(name, slot);
    uses[slot] = (uses[slot] ?? 0) + 1;
  };
  for (const name of names) {
    const kept = previous.get(name);
    if (kept !== undefined) give(name, kept);
  }
  for (const name of names) {
    if (!slots.has(name)) give(name, leastUsed(hash(name), uses));
  }
  return slots;
}

export function colour(slot: number, dark: boolean): string {
  const shades = PALETTE[slot % PALETTE.length] as readonly [string, string];
  return dark ? shades[1] : shades[0];
}

/** A colour `#rrggbb` with an opacity from 0 to 1. */
export function faded(opaque: string, opacity: number): string {
  return (
    opaque +
    Math.round(opacity * 255)
      .toString(16)
      .padStart(2, "0")
  );
}

function leastUsed(start: number, uses: readonly number[]): number {
  const fewest = Math.min(...uses);
  for (let tier = 0; tier < uses.length; tier += TIER) {
    for (let i = 0; i < TIER; i++) {
      const slot = tier + ((start + i) % TIER);
      if (uses[slot] === fewest) return slot;
    }
  }
  return 0;
}

/** FNV-1a. */
function hash(text: string): number {
  let result = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    result = Math.imul(result ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return result;
}
