// Run colours: ten hues with a shade for each theme. Any two of a theme are at least 12 apart (CIE 1976) for normal,
// deuteranopic and protanopic eyes (Machado 2009), and each has 3:1 against a card, be it a faded line.

/** The clearest ones come first and are used up before the others. */
const TIER = 5;
const PALETTE: readonly (readonly [light: string, dark: string])[] = [
  ["#3d67cd", "#4e80f9"],
  ["#b67d00", "#f1b219"],
  ["#249d43", "#56c86b"],
  ["#ec5945", "#fb7056"],
  ["#a665f6", "#c787ff"],
  ["#4c9273", "#81d9c3"],
  ["#d75f9a", "#e977a1"],
  ["#4a8ad6", "#98bcf7"],
  ["#94654d", "#bc8d73"],
  ["#6d737e", "#a4afbe"],
];

/** How many runs have a colour of their own. */
export const SLOTS = PALETTE.length;

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
