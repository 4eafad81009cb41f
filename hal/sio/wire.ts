/**
 * SIO on the wire: every byte is a word by itself. There is no frame, no address and no checksum,
 * so a byte that a glitch made cannot be told from a real one here; `dialogue.ts` is strict about
 * order. Source: cash-hardware.md 5.8.
 */
import type { LineSettings } from '../port.ts';
import { type SioWord, wordOf } from './commands.ts';

/** Speeds that the device's switch has. */
export type SioBaudRate = 300 | 9600;

/**
 * The line: 8N2, as FOSSA has it; a device that expects one stop bit does not mind the second.
 * Source: cash-hardware.md 5.8.
 */
export function sioLine(baudRate: SioBaudRate): LineSettings {
  return { baudRate, dataBits: 8, parity: 'none', stopBits: 2 };
}

/** What came out of bytes: a word, or bytes that are none. */
export type SioWireEvent =
  | { readonly kind: 'word'; readonly word: SioWord }
  | { readonly kind: 'discarded'; readonly bytes: Uint8Array };

/** The words in bytes, in order, and between them what is none. Never throws, keeps nothing. */
export function readWords(chunk: Uint8Array): SioWireEvent[] {
  const events: SioWireEvent[] = [];
  let from = 0;
  const discardUpTo = (end: number) => {
    if (end > from) events.push({ kind: 'discarded', bytes: chunk.slice(from, end) });
  };
  for (const [at, byte] of chunk.entries()) {
    const word = wordOf(byte);
    if (!word) continue;
    discardUpTo(at);
    events.push({ kind: 'word', word });
    from = at + 1;
  }
  discardUpTo(chunk.length);
  return events;
}
