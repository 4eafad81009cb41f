/**
 * What differs between F53 and F56, as data. Nothing that is sent means different things on the
 * two, and no command tells them apart: so the configuration does.
 */
import { type Position, position } from '#protocol/base/ids.ts';
import type { LineSettings } from '../port.ts';

/** Names for the configuration. */
export type F56ModelName = 'f56' | 'f53';

/** One kind of unit. */
export interface F56Model {
  readonly name: F56ModelName;
  /** Bays, 1 is the top one. */
  readonly positions: readonly Position[];
}

/** The models by name. Source: cash-hardware.md 11: the machines that they are built into. */
export const f56Models: Readonly<Record<F56ModelName, F56Model>> = {
  f56: { name: 'f56', positions: [1, 2, 3, 4].map(position) },
  f53: { name: 'f53', positions: [1, 2].map(position) },
};

/**
 * Most notes that one command asks for. Lamassu's driver does the same, and it keeps small what one
 * lost answer leaves open: the unit cannot be asked for its last result.
 */
export const BATCH_MAX = 20;

/** The line. Source: cash-hardware.md 6.1. */
export const F56_LINE: LineSettings = { baudRate: 9600, dataBits: 8, parity: 'even', stopBits: 1 };
