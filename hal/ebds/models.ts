/**
 * What differs between EBDS devices, as data: how they name a note, how notes are enabled one by
 * one, and what may be asked of them.
 * Source: cash-hardware.md 4.3 to 4.5; for the part numbers, CPI's text as quoted by
 * decapod-atm/ebds.
 */
import { type MinorUnits, minorDigits, minorUnits } from '#protocol/base/money.ts';
import type { EbdsStatus, ExtendedNote } from './commands.ts';

interface EbdsModel {
  /** As people call it. */
  readonly title: string;
  /** Fifth byte of the omnibus reply. */
  readonly codes: readonly number[];
  /**
   * The first digits of its application part number, where one code stands for several
   * families.
   */
  readonly partNumbers: { readonly from: number; readonly to: number } | undefined;
  readonly notes:
    | {
        readonly kind: 'extended';
        /** Bytes of SET EXTENDED NOTE INHIBITS, seven notes each. */
        readonly inhibitBytes: number;
      }
    | {
        readonly kind: 'channels';
        readonly currency: string;
        /** Face values of channels 1 to 7. */
        readonly denominations: readonly number[];
      };
}

/**
 * The families that are known. All of the first two say `T` or `U`, and their part number
 * differs.
 */
export const ebdsModels = {
  'cashflow-sc': {
    title: 'Cashflow SC',
    codes: [0x54, 0x55],
    partNumbers: { from: 28_000, to: 28_599 },
    notes: { kind: 'extended', inhibitBytes: 8 },
  },
  'sc-advance': {
    title: 'SC Advance',
    codes: [0x54, 0x55],
    partNumbers: { from: 28_600, to: 28_999 },
    notes: { kind: 'extended', inhibitBytes: 19 },
  },
  'apex-7000': {
    title: 'Pyramid Apex 7000',
    codes: [0x01],
    partNumbers: undefined,
    notes: {
      kind: 'channels',
      currency: 'USD',
      denominations: [1, 2, 5, 10, 20, 50, 100],
    },
  },
} as const satisfies Record<string, EbdsModel>;

/** A family by name. */
export type EbdsModelName = keyof typeof ebdsModels;

/**
 * Notes whose table is longer than that are no validator's: the index is one byte of seven
 * bits.
 */
export const NOTE_INDEX_MAX = 127;
/** Notes in one byte of inhibits. */
const NOTES_PER_BYTE = 7;
/**
 * Classes of a note that are no money: not identified, suspected false, suspected without
 * value.
 */
const CLASSES_REFUSED: readonly number[] = [1, 2, 3];
const PART_NUMBER_DIGITS = 5;

/** Every family by name. */
export const ebdsModelNames: readonly EbdsModelName[] = Object.keys(ebdsModels).filter(isEbdsModel);

/** Whether a name is that of a known family. */
export function isEbdsModel(name: string): name is EbdsModelName {
  return Object.hasOwn(ebdsModels, name);
}

/** The families that a model code may stand for. */
export function modelsOfCode(code: number): readonly EbdsModelName[] {
  return ebdsModelNames.filter((name) => codesOf(name).includes(code));
}

/** Whether every family that a model code may stand for describes notes. */
export function isExtendedCode(code: number): boolean {
  const candidates = modelsOfCode(code);
  const kinds = candidates.map((name) => ebdsModels[name].notes.kind);
  return kinds.length > 0 && kinds.every((kind) => kind === 'extended');
}

/** The family of an application part number, among some. */
export function modelOfPartNumber(
  partNumber: string,
  among: readonly EbdsModelName[],
): EbdsModelName | undefined {
  const digits = partNumber.slice(0, PART_NUMBER_DIGITS);
  if (!/^\d{5}$/.test(digits)) return undefined;
  return among.find((name) => {
    const { partNumbers } = ebdsModels[name];
    return partNumbers && Number(digits) >= partNumbers.from && Number(digits) <= partNumbers.to;
  });
}

/**
 * Printable text of an auxiliary reply, up to the first byte that is not; undefined when there is
 * none at all. Source: cash-hardware.md 4.5.
 */
export function decodeText(data: Uint8Array): string | undefined {
  const text = /^[\x20-\x7e]*/.exec(Buffer.from(data).toString('latin1'))?.[0].trim();
  return text === '' ? undefined : text;
}

/** What a described note is worth in a currency; undefined in any other, or when it is no money. */
export function noteValue(
  { currency, base, exponent, classification }: ExtendedNote,
  wanted: string,
): MinorUnits | undefined {
  if (currency !== wanted || CLASSES_REFUSED.includes(classification)) return undefined;
  const shift = minorDigits(wanted) + exponent;
  const value = shift < 0 ? base / 10 ** -shift : base * 10 ** shift;
  return Number.isSafeInteger(value) && value > 0 ? minorUnits(value) : undefined;
}

/** What a channel of a family is worth in a currency; undefined for none, and in any other. */
export function channelValue(
  model: EbdsModelName,
  channel: number,
  wanted: string,
): MinorUnits | undefined {
  const { notes } = ebdsModels[model];
  if (notes.kind !== 'channels' || notes.currency !== wanted) return undefined;
  const denomination = notes.denominations[channel - 1];
  if (denomination === undefined) return undefined;
  return minorUnits(denomination * 10 ** minorDigits(wanted));
}

/** The notes of a device in a currency, as its family numbers them; others are never enabled. */
export function notesOf(
  device: { readonly model: EbdsModelName; readonly table: readonly ExtendedNote[] },
  wanted: string,
): readonly { readonly number: number; readonly value: MinorUnits }[] {
  const { model, table } = device;
  const { notes } = ebdsModels[model];
  const all =
    notes.kind === 'channels'
      ? notes.denominations.map((_, at) => [at + 1, channelValue(model, at + 1, wanted)] as const)
      : table.map((note) => [note.index, noteValue(note, wanted)] as const);
  return all.flatMap(([number, value]) => (value === undefined ? [] : [{ number, value }]));
}

/** Whether a status names the note in the device as a family does in service. */
export function isNoteNamed(state: EbdsStatus, model: EbdsModelName): boolean {
  if (ebdsModels[model].notes.kind === 'channels') return true;
  // With an index it answers a question about the table, and is no note in the device.
  return state.isExtended && (state.note === undefined || state.note.index === 0);
}

/** The value of the note that a status is about; undefined when it does not say, or not in ours. */
export function statusValue(
  state: EbdsStatus,
  model: EbdsModelName,
  wanted: string,
): MinorUnits | undefined {
  if (ebdsModels[model].notes.kind === 'channels') {
    return channelValue(model, state.channel, wanted);
  }
  return state.note && isNoteNamed(state, model) ? noteValue(state.note, wanted) : undefined;
}

/** Whether a status names no note at all: "stacked" then is no credit. */
export function isBlank({ isExtended, note, channel }: EbdsStatus): boolean {
  return isExtended ? note === undefined : channel === 0;
}

/** The bytes of SET EXTENDED NOTE INHIBITS: a set bit **enables**; note 1 is bit 0 of the first. */
export function inhibitMask(indexes: readonly number[], bytes: number): readonly number[] {
  const mask = new Array<number>(bytes).fill(0);
  for (const index of indexes) {
    const byte = Math.floor((index - 1) / NOTES_PER_BYTE);
    const before = mask[byte];
    if (before !== undefined) mask[byte] = before | (1 << ((index - 1) % NOTES_PER_BYTE));
  }
  return mask;
}

/** The first byte of the omnibus command: a set bit **enables** a channel. */
export function channelMask(channels: readonly number[]): number {
  return channels.reduce((mask, channel) => mask | (1 << (channel - 1)), 0);
}

function codesOf(name: EbdsModelName): readonly number[] {
  return ebdsModels[name].codes;
}
