/** Service scope: devices as the local API and `spire probe` show them. */
import type { AcceptorBaseline, CashAcceptor, DeviceIdentity } from '#hal/cash-acceptor.ts';
import type { CashDispenser, CashDispenserStatus } from '#hal/cash-dispenser.ts';
import { denominationsOf } from '#protocol/base/money.ts';
import type { DeviceView } from '../api/schemas.ts';
import type { Parts } from '../parts.ts';
import type { DeviceWatch } from '../watch/device-watch.ts';

/** What is seen of a device beside who it is and where. */
type Seen = Pick<DeviceView, 'condition' | 'status' | 'capabilities' | 'counters'>;

/** Asks the dispenser how it is, unless a session uses it, and tells what is known of both. */
export async function deviceViews(
  parts: Parts,
  watch: Pick<DeviceWatch, 'identity' | 'askDispenser'>,
): Promise<DeviceView[]> {
  const { acceptor, dispenser, config } = parts;
  const status = await watch.askDispenser();
  const notes = denominationsOf(acceptor.values(), config.currency);
  return [
    {
      device: 'validator',
      ...configured(config.validator),
      identity: identityView(watch.identity('acceptor')),
      ...acceptorView(acceptor, notes),
    },
    {
      device: 'dispenser',
      ...configured(config.dispenser),
      identity: identityView(watch.identity('dispenser')),
      ...dispenserView(dispenser, status),
    },
  ];
}

const configured = ({ protocol, port }: { protocol: string; port: string }) => ({ protocol, port });

/** A validator, by what was last heard; `notes` are the face values that it knows. */
export function acceptorView(acceptor: CashAcceptor, notes: readonly number[]): Seen {
  const { device, cashBox, powerUp, fault } = acceptor.status();
  return {
    condition: { code: device, text: fault?.text ?? '' },
    status: { cashBox, powerUp, notes: [...notes] },
    capabilities: { ...acceptor.capabilities },
    counters: countersView(acceptor.baseline?.()),
  };
}

/** A device's own counters as JSON has them. */
export function countersView(counters: AcceptorBaseline | undefined): DeviceView['counters'] {
  return counters ? { ...counters } : null;
}

/** A dispenser, by its own answer; undefined when it gave none. */
export function dispenserView(
  dispenser: Pick<CashDispenser, 'capabilities'>,
  status: CashDispenserStatus | undefined,
): Seen {
  const { positions, ...capabilities } = dispenser.capabilities;
  return {
    condition: { code: status?.device ?? 'offline', text: status?.fault?.text ?? '' },
    status: {
      path: status?.path ?? 'unknown',
      exit: status?.exit ?? 'unknown',
      rejectTray: status?.rejectTray ?? 'unknown',
      units: (status?.units ?? []).map(({ position, status: level }) => ({
        position,
        status: level,
      })),
    },
    capabilities: { ...capabilities, positions: [...positions] },
    counters: null,
  };
}

/** An identity as JSON has it. */
export function identityView(identity: DeviceIdentity | undefined): DeviceView['identity'] {
  return identity ? { ...identity, serialNumber: identity.serialNumber ?? null } : null;
}
