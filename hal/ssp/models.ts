/** What differs between SSP devices, as data. Source: GA138, banknote validator; 5.3, 5.6. */
import { type MinorUnits, minorOfDenomination } from '#protocol/base/money.ts';

/** One way of talking to an SSP validator. */
export interface SspModel {
  readonly name: string;
  /** All is said under a key that is agreed at every start. */
  readonly encrypted: boolean;
}

/** Models by name. The device is the same; how it is configured at the factory is not. */
export const sspModels = {
  ssp: { name: 'ssp', encrypted: false },
  essp: { name: 'essp', encrypted: true },
} as const satisfies Record<string, SspModel>;

/** A model's name. */
export type SspModelName = keyof typeof sspModels;

/** What the device says that it is; only the first is driven here. */
export const unitTypes: Readonly<Record<number, string>> = {
  0: 'banknote validator',
  3: 'SMART Hopper',
  6: 'SMART Payout',
  7: 'Note Float',
  8: 'add-on printer',
  9: 'SMART Coin System',
  11: 'stand-alone printer',
  13: 'TEBS',
  14: 'TEBS with SMART Payout',
  15: 'TEBS with SMART Ticket',
};

/** The unit type that is driven here. */
export const VALIDATOR_UNIT = 0;

/** One kind of note that the device knows. */
export interface SspChannel {
  /** What READ and NOTE CREDIT say, from 1. */
  readonly channel: number;
  /** ISO 4217. */
  readonly currency: string;
  /** Face value in major units. */
  readonly denomination: number;
}

/** Who the device is and which notes it knows: the answer to SETUP REQUEST. */
export interface SspSetup {
  readonly unitType: number;
  /** Four digits, as `0333`. */
  readonly firmware: string;
  readonly protocolVersion: number;
  readonly channels: readonly SspChannel[];
}

/** Two bytes of inhibits; channels above are never enabled. */
const CHANNELS_MAX = 16;
const HEAD_BYTES = 12;
const TAIL_BYTES = 4;
/** From this version on each channel has its currency and value in four bytes. */
const PROTOCOL_WITH_CURRENCIES = 6;

/**
 * Reads the answer to SETUP REQUEST of a validator, OK included; undefined when the bytes are none.
 * A channel whose two values contradict each other is left out: it is never enabled. The real value
 * multiplier is not used, as the vendor's own example has 64 where 100 is meant.
 */
export function decodeSetup(data: Uint8Array): SspSetup | undefined {
  const body = data.subarray(1);
  const count = body[HEAD_BYTES - 1] ?? 0;
  const end = HEAD_BYTES + 2 * count + TAIL_BYTES;
  const protocolVersion = body[end - 1];
  if (protocolVersion === undefined || body.length < end) return undefined;
  const hasCurrencies = protocolVersion >= PROTOCOL_WITH_CURRENCIES;
  if (hasCurrencies && body.length < end + 7 * count) return undefined;
  const multiplier = bigEndian(body.subarray(8, 11));
  const channels: SspChannel[] = [];
  for (let at = 0; at < Math.min(count, CHANNELS_MAX); at++) {
    const byMultiplier = (body[HEAD_BYTES + at] ?? 0) * multiplier;
    const expandedAt = end + 3 * count + 4 * at;
    const expanded = hasCurrencies
      ? bigEndian(body.slice(expandedAt, expandedAt + 4).reverse())
      : byMultiplier;
    const denomination = byMultiplier === 0 ? expanded : byMultiplier;
    if (denomination === 0 || expanded !== denomination) continue;
    const currencyAt = hasCurrencies ? end + 3 * at : 5;
    const currency = ascii(body.subarray(currencyAt, currencyAt + 3));
    channels.push({ channel: at + 1, currency, denomination });
  }
  const [unitType = 0] = body;
  return { unitType, firmware: ascii(body.subarray(1, 5)), protocolVersion, channels };
}

/** The value of a channel in the configured currency; undefined for any other currency. */
export function channelValue(channel: SspChannel, currency: string): MinorUnits | undefined {
  if (channel.currency !== currency) return undefined;
  return minorOfDenomination(channel.denomination, currency);
}

/** The two bytes of SET CHANNEL INHIBITS. A set bit **enables**. */
export function inhibitMask(enabledChannels: readonly number[]): readonly [number, number] {
  let mask = 0;
  for (const channel of enabledChannels) {
    if (channel >= 1 && channel <= CHANNELS_MAX) mask |= 1 << (channel - 1);
  }
  return [mask & 0xff, mask >> 8];
}

/**
 * The model in a firmware's full name, as `NV200` in `NV02004141498000`; undefined when it has
 * another form.
 */
export function modelOfFirmware(firmware: string): string | undefined {
  const [, letters, digits] = /^([A-Z]{2})(\d{4})/.exec(firmware) ?? [];
  return letters === undefined ? undefined : `${letters}${Number(digits)}`;
}

/** Lifetime counters, each of 32 bits. */
export interface SspCounters {
  readonly stacked: number;
  readonly rejected: number;
}

const COUNTERS = 5;

/** Reads the answer to GET COUNTERS of a validator, OK included; undefined when it is none. */
export function decodeCounters(data: Uint8Array): SspCounters | undefined {
  if (data[1] !== COUNTERS || data.length < 2 + 4 * COUNTERS) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return { stacked: view.getUint32(2, true), rejected: view.getUint32(18, true) };
}

/** How far a counter has gone on; it wraps at 2^32. */
export function countedSince(before: number, now: number): number {
  return (now - before) >>> 0;
}

/** Printable characters of an answer. */
export function ascii(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '');
}

function bigEndian(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}
