/** A device watch that a test holds in its hands. */
import type { Parts } from '#agent/parts.ts';
import { DeviceWatch } from '#agent/watch/device-watch.ts';
import type { Direction } from '#agent/watch/reasons.ts';
import type { CashInRig } from '#test/support/cash-in-rig.ts';

/**
 * A watch over the rig's devices, and the session that a test pretends; `settle` stands for the
 * recovery.
 */
export function watched(
  rig: CashInRig,
  change: Partial<Parts> = {},
  settle: (device: 'acceptor' | 'dispenser') => Promise<void> = async () => undefined,
) {
  const session = { takes: false, dispenses: false, attended: false };
  const recovered: string[] = [];
  const failures: Error[] = [];
  const watch = new DeviceWatch(
    { ...rig.parts, ...change },
    {
      takesNotes: () => session.takes,
      mindsEscrow: () => session.takes,
      dispenses: () => session.dispenses,
      isAttended: () => session.attended,
      recover: async (device) => {
        recovered.push(device);
        const failure = failures.shift();
        if (failure) throw failure;
        await settle(device);
      },
    },
  );
  const why = (direction: Direction) =>
    rig.parts.board.list(direction).map(({ code, text }) => `${code}: ${text}`);
  return { watch, session, recovered, failures, why };
}
