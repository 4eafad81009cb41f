/**
 * What every command of the driver carries: EBDS says its settings again with each poll. Only which
 * described notes are taken is set once. Source: cash-hardware.md 4.2, 4.4.
 */
import { configurationBits, modeBits } from './commands.ts';
import { channelMask, type EbdsModelName, ebdsModels } from './models.ts';

/** What changes between commands. */
export interface EbdsSettings {
  /** Channels that are enabled; with extended notes, anything but 0 enables the device. */
  readonly enabled: number;
  /** Notes are described, not numbered. Only for models that know it. */
  readonly extended: boolean;
}

/** Notes to take: channels, or lines of the note table, as the family numbers them. */
export type EnabledNotes = readonly number[];

/** The slot is shut. */
export const noneEnabled: EnabledNotes = [];

/** Nothing enabled, and nothing said that not every model knows. */
export const quietSettings: EbdsSettings = { enabled: 0, extended: false };

/** Every channel. */
const ALL_CHANNELS = 0x7f;

/** The settings of a family that takes these notes; of no family yet, the quiet ones. */
export function settingsFor(model: EbdsModelName | undefined, notes: EnabledNotes): EbdsSettings {
  if (model === undefined) return quietSettings;
  if (ebdsModels[model].notes.kind === 'channels') {
    return { enabled: channelMask(notes), extended: false };
  }
  return { enabled: notes.length > 0 ? ALL_CHANNELS : 0, extended: true };
}

/**
 * The three bytes of an omnibus command: escrow, any orientation, power-up policy B, no bar codes,
 * no interrupt mode; and the one bit that moves a note, if any.
 */
export function omnibusBytes(
  { enabled, extended }: EbdsSettings,
  move?: 'stack' | 'return',
): readonly number[] {
  const mode = modeBits.fourWay | modeBits.escrow | (move ? modeBits[move] : 0);
  const notes = extended ? configurationBits.extendedNotes : 0;
  return [enabled, mode, configurationBits.powerUpPolicyB | notes];
}
