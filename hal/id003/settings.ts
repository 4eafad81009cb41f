/** The settings of an ID-003 device. What becomes of a note inside is decided in `reset.ts`. */
import type { Id003Link } from './link.ts';
import { denominationMask } from './models.ts';

/**
 * Sends the settings: nothing enabled, all directions, ordinary security, no optional function,
 * poll mode, inhibited. True when the device has confirmed every one.
 */
export async function configure(link: Id003Link): Promise<boolean> {
  const settings = [
    ['setDenominations', denominationMask([])],
    ['setSecurity', [0, 0]],
    ['setInhibit', [1]],
    ['setDirection', [0]],
    ['setOptionalFunction', [0, 0]],
    ['setCommunicationMode', [0]],
  ] as const;
  for (const [command, data] of settings) {
    if (typeof (await link.ask(command, data)) === 'string') return false;
  }
  return true;
}
