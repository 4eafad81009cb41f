/**
 * LCDM on the wire: `04 ID 02 CMD [BODY...] 03 BCC` from the host, `01 ID 02 CMD [BODY...] 03 BCC`
 * from the device, and single bytes between them. There is no length field: sizes are fixed per
 * command. BCC is the XOR of everything before it. ID 30 is the LCDM-4000 family, ID 50 are the
 * LCDM-1000 and -2000; they share this framing and nothing else.
 * Source: Puloon interface specifications of LCDM-4000 and LCDM-1000T; cash-hardware.md 7.
 */

/** The LCDM-4000 family. */
export const ID30 = 0x30;
/** LCDM-1000 and LCDM-2000. */
export const ID50 = 0x50;
/** Whose words a frame carries. */
export type LcdmId = typeof ID30 | typeof ID50;

/** Who speaks. It decides what 04 is: EOT from the device, the start of a frame from the host. */
export type LcdmSender = 'host' | 'device';

/** Bytes that stand alone. EOT is said by a device with ID 30 only. */
export const controls = { ack: 0x06, nak: 0x15, eot: 0x04 } as const;
/** A byte that stands alone. */
export type LcdmControl = keyof typeof controls;

/**
 * What a device with ID 50 may say of each note while it dispenses (8D) or rejects (9C).
 * Source: CyberPlat's TerminalClient; cash-hardware.md 7.2.
 */
export const PROGRESS = { dispensing: 0x8d, rejecting: 0x9c } as const;

const STARTS: Readonly<Record<LcdmSender, number>> = { host: 0x04, device: 0x01 };
const TEXT_START = 0x02;
const TEXT_END = 0x03;
/** Real units let it slip between frames. Source: Lamassu's driver; cash-hardware.md 7.1. */
const STRAY = 0xff;
/** Start, ID, 02, CMD in front; 03, BCC behind. */
const BODY_AT = 4;
/** Bytes of a frame around its body; also the least that a frame has. */
export const FRAME_BYTES = 6;

const NOTHING = new Uint8Array(0);

/** One frame, without its frame. */
export interface LcdmFrame {
  readonly command: number;
  readonly body: Uint8Array;
}

/** What came out of bytes. */
export type LcdmWireEvent =
  | { readonly kind: 'frame'; readonly frame: LcdmFrame }
  | { readonly kind: 'control'; readonly control: LcdmControl }
  /** ID 50 only: a note is on its way. */
  | { readonly kind: 'progress' }
  /** The beginning of a frame with the other ID. */
  | { readonly kind: 'otherId' }
  | { readonly kind: 'discarded'; readonly bytes: Uint8Array };

/** A frame as bytes. */
export function encodeFrame(
  id: LcdmId,
  sender: LcdmSender,
  command: number,
  body: Uint8Array | readonly number[] = [],
): Uint8Array {
  const bytes = new Uint8Array(body.length + FRAME_BYTES);
  bytes.set([STARTS[sender], id, TEXT_START, command]);
  bytes.set(body, BODY_AT);
  const end = BODY_AT + body.length;
  bytes[end] = TEXT_END;
  bytes[end + 1] = checkByte(bytes, 0, end + 1);
  return bytes;
}

/** What a framer needs to know. */
export interface LcdmFramerOptions {
  readonly id: LcdmId;
  /** Whose bytes these are. */
  readonly sender: LcdmSender;
  /** Sizes that the body of a command may have, ascending; none for an unknown command. */
  readonly bodySizes: (command: number) => readonly number[];
}

/**
 * Finds frames and single bytes in what comes, in whatever chunks. It never throws and never
 * stalls: a frame that does not end as it must costs one byte, and the search goes on behind it. A
 * frame that is cut short waits for the rest; `reset` on silence ends that wait.
 */
export class LcdmFramer {
  readonly #options: LcdmFramerOptions;
  #pending: Uint8Array = NOTHING;

  constructor(options: LcdmFramerOptions) {
    this.#options = options;
  }

  /** Bytes of a frame that is not complete yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** What is complete now, in order, and what was thrown away on the way. */
  push(chunk: Uint8Array): LcdmWireEvent[] {
    const bytes = this.#pending.length === 0 ? chunk : joined(this.#pending, chunk);
    const events: LcdmWireEvent[] = [];
    let waste: number[] = [];
    const report = (event?: LcdmWireEvent) => {
      if (waste.length > 0) events.push({ kind: 'discarded', bytes: Uint8Array.from(waste) });
      waste = [];
      if (event) events.push(event);
    };
    let at = 0;
    while (at < bytes.length) {
      const found = this.#find(bytes, at);
      if (found === 'incomplete') break;
      if (found?.kind === 'frame') {
        report(found);
        at += found.frame.body.length + FRAME_BYTES;
        continue;
      }
      if (found) report(found);
      if (!found || found.kind === 'otherId') pushUnlessStray(waste, bytes[at]);
      at++;
    }
    report();
    this.#pending = at < bytes.length ? bytes.slice(at) : NOTHING;
    return events;
  }

  /** Forgets an unfinished frame, as the line has fallen silent; gives what it was. */
  reset(): Uint8Array {
    const pending = this.#pending;
    this.#pending = NOTHING;
    return pending;
  }

  /** What starts here; undefined for nothing. */
  #find(bytes: Uint8Array, at: number): LcdmWireEvent | 'incomplete' | undefined {
    const { id, sender } = this.#options;
    switch (bytes[at]) {
      case STARTS[sender]:
        return this.#findFrame(bytes, at);
      case controls.ack:
        return { kind: 'control', control: 'ack' };
      case controls.nak:
        return { kind: 'control', control: 'nak' };
      case controls.eot:
        return { kind: 'control', control: 'eot' };
      case PROGRESS.dispensing:
      case PROGRESS.rejecting:
        return id === ID50 && sender === 'device' ? { kind: 'progress' } : undefined;
      default:
        return undefined;
    }
  }

  #findFrame(bytes: Uint8Array, at: number): LcdmWireEvent | 'incomplete' | undefined {
    const id = bytes[at + 1];
    const textStart = bytes[at + 2];
    const command = bytes[at + 3];
    if (id === undefined) return 'incomplete';
    if (id !== ID30 && id !== ID50) return undefined;
    if (textStart === undefined) return 'incomplete';
    if (textStart !== TEXT_START) return undefined;
    if (id !== this.#options.id) return { kind: 'otherId' };
    if (command === undefined) return 'incomplete';
    let isIncomplete = false;
    for (const size of this.#options.bodySizes(command)) {
      const end = at + BODY_AT + size;
      if (end + 2 > bytes.length) isIncomplete = true;
      else if (bytes[end] === TEXT_END && bytes[end + 1] === checkByte(bytes, at, end + 1)) {
        return { kind: 'frame', frame: { command, body: bytes.slice(at + BODY_AT, end) } };
      }
    }
    return isIncomplete ? 'incomplete' : undefined;
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}

function pushUnlessStray(waste: number[], byte: number | undefined): void {
  if (byte !== undefined && byte !== STRAY) waste.push(byte);
}

function checkByte(bytes: Uint8Array, from: number, end: number): number {
  let check = 0;
  for (let at = from; at < end; at++) check ^= bytes[at] ?? 0;
  return check;
}
