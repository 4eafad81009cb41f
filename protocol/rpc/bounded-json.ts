/** JSON from outside, parsed only within bounds of size and depth. */

/** What came of parsing. */
export type BoundedJson =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly reason: string };

/** Deepest nesting taken. What we read nests four deep; recursion over more costs stack. */
const DEPTH_MAX = 32;

/** Parses a text of at most so many characters, nested at most 32 deep. Never throws. */
export function parseBoundedJson(text: string, charactersMax: number): BoundedJson {
  if (text.length > charactersMax) {
    return { kind: 'refused', reason: `${text.length} characters, at most ${charactersMax}` };
  }
  if (depthOf(text) > DEPTH_MAX) {
    return { kind: 'refused', reason: `nested more than ${DEPTH_MAX} deep` };
  }
  try {
    const value: unknown = JSON.parse(text);
    return { kind: 'value', value };
  } catch (error) {
    if (error instanceof SyntaxError) return { kind: 'refused', reason: 'no JSON' };
    throw error;
  }
}

/** Deepest nesting of brackets outside of strings; exact for what is JSON. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
  }
  return deepest;
}
