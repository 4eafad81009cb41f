/** Finds out what is on a serial line, by questions alone (design 12). */
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import type { Port } from '#hal/port.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { denominationsOf } from '#protocol/base/money.ts';
import type { DeviceView } from '../api/schemas.ts';
import { makeAcceptor, makeDispenser, type ProbedProtocol } from '../devices.ts';
import {
  acceptorView,
  countersView,
  dispenserView,
  identityView,
} from '../service/device-views.ts';

/** What a probe works with. */
export interface ProbeOptions {
  readonly path: string;
  readonly makePort: () => Port;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** ISO 4217: notes of another one are not shown. */
  readonly currency: string;
  /** What is tried, in this order. */
  readonly protocols: readonly ProbedProtocol[];
  /** Tells the person who waits what is tried. */
  readonly tell: (text: string) => void;
}

/** One protocol that was tried. `other`: something answered, and was not this. */
export interface Attempt {
  readonly protocol: string;
  readonly model: string | null;
  readonly outcome: 'found' | 'silent' | 'other';
  readonly text: string;
}

/** What is on the line; null when nothing that is known here has answered. */
export interface Probed {
  readonly device: DeviceView | null;
  readonly attempts: readonly Attempt[];
}

/** Faults of the port itself: no protocol would do better. */
const PORT_FAULTS: ReadonlySet<string> = new Set(['notFound', 'locked', 'refused']);

/**
 * Tries one protocol after the other until one answers. Moves nothing, enables nothing.
 * @throws DeviceError `notFound`, `locked`, `refused` for a port that cannot be opened.
 */
export async function probePort(options: ProbeOptions): Promise<Probed> {
  const attempts: Attempt[] = [];
  for (const protocol of options.protocols) {
    for (const model of protocol.models) {
      const name = model === undefined ? protocol.protocol : `${protocol.protocol} (${model})`;
      options.tell(`trying ${name}`);
      const tried = { protocol: protocol.protocol, model: model ?? null };
      try {
        const device = await question(options, protocol, model);
        attempts.push({ ...tried, outcome: 'found', text: `it speaks ${name}` });
        return { device, attempts };
      } catch (error) {
        if (!(error instanceof DeviceError) || PORT_FAULTS.has(error.code)) throw error;
        const outcome = error.code === 'timeOut' ? 'silent' : 'other';
        attempts.push({ ...tried, outcome, text: error.message });
      }
    }
  }
  return { device: null, attempts };
}

async function question(
  options: ProbeOptions,
  entry: ProbedProtocol,
  model: string | undefined,
): Promise<DeviceView> {
  const { device, protocol, ask } = entry;
  const { path, clock, random, log, currency } = options;
  const common = { protocol, model, clock, random, log, currency, port: options.makePort() };
  const configured = { device, protocol, port: path };
  if (ask) {
    const { identity, notes, counters } = await ask(common);
    return {
      ...configured,
      identity: identityView(identity),
      condition: { code: 'notAsked', text: 'its state cannot be asked without taking its news' },
      status: { notes: [...notes] },
      capabilities: {},
      counters: countersView(counters),
    };
  }
  return device === 'validator'
    ? openAcceptor(configured, openable(common), currency)
    : openDispenser(configured, makeDispenser(common));
}

type Common = Parameters<typeof makeAcceptor>[0];

/** A validator whose channels cannot be asked for gets one, which is never enabled. */
const openable = (common: Common): CashAcceptor => makeAcceptor({ ...common, channels: [1] });

type Configured = Pick<DeviceView, 'device' | 'protocol' | 'port'>;

async function openAcceptor(
  configured: Configured,
  acceptor: CashAcceptor,
  currency: string,
): Promise<DeviceView> {
  try {
    const identity = await acceptor.open();
    const notes = denominationsOf(acceptor.values(), currency);
    return { ...configured, identity: identityView(identity), ...acceptorView(acceptor, notes) };
  } finally {
    await acceptor.close();
  }
}

async function openDispenser(
  configured: Configured,
  dispenser: CashDispenser,
): Promise<DeviceView> {
  try {
    const identity = await dispenser.open();
    const status = await dispenser.status();
    return {
      ...configured,
      identity: identityView(identity),
      ...dispenserView(dispenser, status),
    };
  } finally {
    await dispenser.close();
  }
}
