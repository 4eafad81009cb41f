/** Frames as manuals print them. */

/** Bytes of frames in hex. At least one, so that the first is surely there. */
export function framesOf(
  first: string,
  ...more: readonly string[]
): readonly [Uint8Array, ...Uint8Array[]] {
  return [bytesOf(first), ...more.map(bytesOf)];
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.trim().split(/\s+/), (pair) => Number.parseInt(pair, 16));
}
