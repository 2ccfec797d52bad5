export interface Search {
  readonly matches: (name: string) => boolean;
  /** What is wrong with the pattern; null when nothing is. */
  readonly error: string | null;
}

/**
 * A case-insensitive regular expression. While one is half typed it is often invalid: then it is taken
 * literally, so that the list does not jump, and `error` says so.
 */
export function compileSearch(pattern: string): Search {
  const text = pattern.trim();
  if (text === "") return { matches: () => true, error: null };
  try {
    const expression = new RegExp(text, "i");
    return { matches: (name) => expression.test(name), error: null };
  } catch {
    const lower = text.toLowerCase();
    return {
      matches: (name) => name.toLowerCase().includes(lower),
      error: "Not a valid regular expression; searching for the plain text.",
    };
  }
}
