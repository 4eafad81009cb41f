/** Watches one device while a technician tries it: notes come in, and all are given back. */
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser, CashDispenserStatus } from '#hal/cash-dispenser.ts';
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { DeviceError, messageOf } from '#protocol/base/errors.ts';

/** One thing that happened, as plain JSON. */
export interface WatchedEvent {
  readonly kind: string;
  readonly [detail: string]: unknown;
}

/** How a technician follows and ends it. */
export interface WatchOptions {
  readonly clock: Clock;
  readonly tell: (event: WatchedEvent) => void;
  /** Aborted when the technician has seen enough. */
  readonly signal: AbortSignal;
}

/** Pace of asking a dispenser how it is, ms. */
const STATUS_MS = 1_000;

/**
 * Enables a validator and tells what it says. Every note is given back; one that the device takes
 * all the same is told, and not confirmed: the agent books it when it runs again.
 * @throws DeviceError `sequenceError` for a device with a note inside, or without escrow.
 */
export async function watchAcceptor(
  acceptor: CashAcceptor,
  { tell, signal }: WatchOptions,
): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => end(), { once: true });
  let work = Promise.resolve();
  const off = acceptor.subscribe((event) => {
    if (event.kind === 'device.failed') tell({ kind: event.kind, reason: event.error.message });
    else tell({ ...event });
    if (event.kind === 'credit.unexpected') end();
    if (event.kind !== 'note.escrowed') return;
    work = work.then(() => giveBack(acceptor, tell));
  });
  try {
    await acceptor.open();
    await makeReady(acceptor);
    await acceptor.accept(acceptor.values());
    tell({ kind: 'slot.opened' });
    if (!signal.aborted) await ended;
    await work;
    await acceptor.accept([]);
    tell({ kind: 'slot.closed' });
  } finally {
    off();
    await acceptor.close();
  }
}

/** Only where nothing can be lost: a device that says itself that nothing is inside. */
async function makeReady(acceptor: CashAcceptor): Promise<void> {
  const { capabilities } = acceptor;
  const { device, powerUp, fault } = acceptor.status();
  const refuse = (why: string) => new DeviceError('sequenceError', `not enabled: ${why}`);
  if (!capabilities.escrow) throw refuse('it cannot give a note back, and would keep it');
  if (powerUp !== 'none' && device === 'attention') {
    throw refuse('it may have a note inside, of which the agent has to find out first');
  }
  if (device === 'fault') throw refuse(fault?.text ?? 'it needs help');
  if (device === 'attention') await acceptor.initialise();
}

async function giveBack(acceptor: CashAcceptor, tell: WatchOptions['tell']): Promise<void> {
  try {
    const { kind: outcome, evidence } = await acceptor.returnNote();
    tell({ kind: 'return.settled', outcome, evidence });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    tell({ kind: 'note.notGivenBack', reason: messageOf(error) });
  }
}

/** Tells a dispenser's state, and every change of it. Nothing is moved. */
export async function watchDispenser(
  dispenser: CashDispenser,
  { clock, tell, signal }: WatchOptions,
): Promise<void> {
  let last = '';
  const look = (status: CashDispenserStatus) => {
    const text = JSON.stringify(status);
    if (text !== last) tell({ kind: 'status', ...status });
    last = text;
  };
  try {
    await dispenser.open();
    while (!signal.aborted) {
      look(await dispenser.status());
      // Ended early by the technician, who has seen enough.
      await sleep(clock, STATUS_MS, signal).catch(() => undefined);
    }
  } finally {
    await dispenser.close();
  }
}
