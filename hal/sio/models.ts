/** What differs between SIO devices, as data. Source: cash-hardware.md 5.8. */
import { type MinorUnits, minorOfDenomination } from '#protocol/base/money.ts';
import { CHANNELS_MAX } from './commands.ts';

/** One kind of device. */
export interface SioModel {
  readonly name: 'nv10' | 'nv10-no-escrow';
  /** Notes stop in escrow. Without it a note is in the cash box when we hear of it. */
  readonly hasEscrow: boolean;
}
/** Names for the configuration. */
export type SioModelName = SioModel['name'];

/** The models by name. */
export const sioModels: Readonly<Record<SioModelName, SioModel>> = {
  /** NV9 and NV10 with escrow mode, as Bleskomat drives them. */
  nv10: { name: 'nv10', hasEscrow: true },
  /** The same where escrow mode is not there, as FOSSA drives them. */
  'nv10-no-escrow': { name: 'nv10-no-escrow', hasEscrow: false },
};

/** The value of each channel of a dataset, by the channel's number. */
export type ChannelValues = ReadonlyMap<number, MinorUnits>;

/**
 * The values behind the channels: `denominations` are the face values in the order of the channels,
 * 0 for one that is not to be used. The device cannot be asked for them.
 * @throws RangeError for more than 16, or none at all.
 */
export function channelValues(denominations: readonly number[], currency: string): ChannelValues {
  if (denominations.length > CHANNELS_MAX || !denominations.some((one) => one > 0)) {
    throw new RangeError(`a dataset has 1 to ${CHANNELS_MAX} channels`);
  }
  return new Map(
    denominations.flatMap((denomination, at) =>
      denomination === 0 ? [] : [[at + 1, minorOfDenomination(denomination, currency)] as const],
    ),
  );
}
