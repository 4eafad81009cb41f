/**
 * What a protocol brings to be fuzzed: its own parser, and a slow one that shares nothing with
 * it.
 */

/** The driver's own way from bytes to money words, fresh. */
export interface FuzzSubject {
  /**
   * Takes a chunk from the line; tells every frame in it that means money (a credit, counts of
   * notes handed out), each as a word that `oracle` would use as well. Never throws.
   */
  push(chunk: Uint8Array): readonly string[];
  /** The line fell silent: an unfinished frame is none. */
  flush(): readonly string[];
}

/** One protocol under fuzz. */
export interface FuzzTarget {
  readonly protocol: string;
  /** Good frames from device to host that inputs are grown from; none may be a part of another. */
  readonly frames: readonly Uint8Array[];
  /** One of them that means money, and its word: it must be heard after any rubbish. */
  readonly probe: { readonly frame: Uint8Array; readonly word: string };
  subject(): FuzzSubject;
  /**
   * The words of all good money frames that stand anywhere in these bytes, overlapping ones too.
   * Written from the protocol's description, slow and plain; imports nothing of the driver.
   */
  oracle(bytes: Uint8Array): readonly string[];
}
