/**
 * What a simulated EBDS validator says, as data of replies. Written from the protocol's
 * description, beside the driver's tables. Source: cash-hardware.md 4.3 to 4.5.
 */
import type { EbdsNote, EbdsState } from './inside.ts';
import type { EbdsMechanism } from './mechanism.ts';

/** Who a device says that it is. */
export interface EbdsIdentity {
  /** Fifth byte of every status. */
  readonly modelCode: number;
  /** Times ten, as in the sixth byte. */
  readonly revision: number;
  /** 0 is an acceptor, 1 a recycler. */
  readonly deviceType: number;
  readonly type: string;
  readonly serialNumber: string;
  readonly bootPartNumber: string;
  /** Nine digits; its first five tell the family. */
  readonly applicationPartNumber: string;
  readonly variantName: string;
  readonly variantPartNumber: string;
  /** Bytes of SET EXTENDED NOTE INHIBITS; undefined for a device that knows numbered notes only. */
  readonly inhibitBytes: number | undefined;
}

const STATE_BITS: Readonly<Record<EbdsState, number>> = {
  idling: 0x01,
  accepting: 0x02,
  escrowed: 0x04,
  stacking: 0x08,
  returning: 0x20,
  outOfService: 0,
};
const STACKED = 0x10;
const RETURNED = 0x40;
const REJECTED = 0x02;
/** A note table's largest channel. */
const CHANNEL_MAX = 7;
/** What notes look like, as the reference frame has it: `00 41 41 41 41`, class 0, two reserved. */
const LOOKS = [0x00, 0x41, 0x41, 0x41, 0x41, 0x00, 0x00, 0x00];
const NOTE_BYTES = 18;
const BASE_MAX = 999;

/** The note that a status is about now: the one stacked, else the one in escrow. */
export function noteSaid(mechanism: EbdsMechanism): EbdsNote | undefined {
  const { news } = mechanism;
  return news?.kind === 'stacked' ? news.note : mechanism.escrowed;
}

/** The six bytes of a status as it is now. With extended notes the channel is left out. */
export function statusBytes(
  mechanism: EbdsMechanism,
  identity: EbdsIdentity,
  said: { readonly isExtended: boolean; readonly isInvalid: boolean },
): number[] {
  const { conditions, state, news } = mechanism;
  const bits = (...set: readonly (readonly [boolean, number])[]) =>
    set.reduce((byte, [isSet, bit]) => (isSet ? byte | (1 << bit) : byte), 0);
  const event = news?.kind === 'stacked' ? STACKED : news?.kind === 'returned' ? RETURNED : 0;
  const rejected = news?.kind === 'rejected' ? REJECTED : 0;
  const note = said.isExtended ? undefined : noteSaid(mechanism);
  const channel = note && note.index <= CHANNEL_MAX ? note.index : 0;
  const knowsCapabilities = identity.inhibitBytes !== undefined;
  return [
    STATE_BITS[state] | event,
    rejected |
      bits(
        [conditions.cheated, 0],
        [conditions.jammed, 2],
        [conditions.stackerFull, 3],
        [conditions.cassetteAttached, 4],
        [conditions.paused, 5],
      ),
    (channel << 3) |
      bits(
        [conditions.powerUp, 0],
        [said.isInvalid, 1],
        [conditions.failure, 2],
        [conditions.transportOpen, 6],
      ),
    bits([conditions.stalled, 0], [conditions.preStack, 2], [knowsCapabilities, 4]),
    identity.modelCode,
    identity.revision,
  ];
}

/** A note specification; all zero for none. */
export function noteBytes(note: EbdsNote | undefined, index: number): number[] {
  if (!note) return new Array<number>(NOTE_BYTES).fill(0);
  let [base, exponent] = [note.denomination, 0];
  for (; base > BASE_MAX; exponent++) base /= 10;
  const digits = String(base).padStart(3, '0');
  const text = `${note.currency}${digits}+${String(exponent).padStart(2, '0')}`;
  return [index, ...Buffer.from(text, 'latin1'), ...LOOKS];
}

/** Data of an auxiliary answer by code; undefined for one that is not known. */
export function auxiliaryBytes(identity: EbdsIdentity, code: number): number[] | undefined {
  const zeros = (count: number) => new Array<number>(count).fill(0);
  const padded = (words: string, count: number) => {
    const bytes = [...Buffer.from(words, 'latin1')].slice(0, count);
    return [...bytes, ...zeros(count - bytes.length)];
  };
  const answers: Readonly<Record<number, () => number[]>> = {
    0: () => [1, 2, 3, 4, 0, 0],
    1: () => zeros(6),
    2: () => zeros(6),
    3: () => zeros(6),
    4: () => padded(identity.type, 20),
    5: () => padded(identity.serialNumber, 20),
    6: () => padded(identity.bootPartNumber, 9),
    7: () => padded(identity.applicationPartNumber, 9),
    8: () => padded(identity.variantName, 32),
    9: () => padded(identity.variantPartNumber, 9),
    10: () => zeros(48),
    11: () => zeros(56),
    12: () => zeros(72),
    13: () => zeros(6),
    14: () => padded(identity.applicationPartNumber, 9),
    15: () => padded(identity.variantPartNumber, 9),
  };
  return answers[code]?.();
}
