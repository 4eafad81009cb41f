/**
 * Documents end to end: operator's stand-in, relay in memory, inbox, publisher, a store on
 * disk.
 */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Config, parseConfig } from '#agent/config.ts';
import { OperatorDocuments } from '#agent/documents/operator-documents.ts';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { position } from '#protocol/base/ids.ts';
import { createLog, silentLog } from '#protocol/base/log.ts';
import { DocumentInbox } from '#protocol/documents/inbox.ts';
import { DocumentPublisher } from '#protocol/documents/publisher.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import type { CashUnit } from '#state/cash-units.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { openStore, type Store } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { makeKeeper } from '../../protocol/rpc/keeper-rig.ts';
import { makeSigner } from '../../protocol/rpc/rig.ts';
import { KEY, newFolder } from '../../state/fixtures.ts';

/** A configuration of which a test says only what it is about. */
export function makeConfig(fields: Record<string, unknown> = {}): Config {
  const device = { protocol: 'simulated', port: '/dev/null' };
  return parseConfig({
    currency: 'USD',
    support: { contact: 'a telephone' },
    validator: device,
    dispenser: device,
    limits: { max_cash_in_sats: null },
    ...fields,
  });
}

/** A machine with four bays. */
export const POSITIONS = [1, 2, 3, 4].map(position);

/** One bay as the books have it. */
export function bayOf(store: Store, at: number) {
  const unit = store.cashUnits.get(position(at));
  if (!unit) return undefined;
  const { value, accuracy, parked } = unit;
  return { value, count: store.ledger.count(bayAccount(unit.position), value), accuracy, parked };
}

/** Notes that the books say the customer got from a bay. */
export function dispense(store: Store, at: number, count: number): void {
  const unit = store.cashUnits.get(position(at));
  if (!unit) throw new Error(`no bay ${at}`);
  const { currency, value } = unit;
  const from = bayAccount(unit.position);
  store.commit(() => {
    store.ledger.move({ from, to: 'customer', currency, value, count, cause: 'dispense' });
    store.journal.append('dispense.settled', { position: at, count });
  });
}

/** Changes what is known of a bay beside its count. */
export function putUnit(store: Store, at: number, fields: Partial<CashUnit>): void {
  const unit = store.cashUnits.get(position(at));
  if (!unit) throw new Error(`no bay ${at}`);
  store.commit(() => store.cashUnits.put({ ...unit, ...fields }));
}

/** The world outside, and machines in it that are started one after the other. */
export function makeWorld(fields: Record<string, unknown> = {}) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({
    clock,
    verify: verifySignature,
    rules: { futureMaxSec: undefined },
  });
  const signer = makeSigner(clock);
  const keeper = makeKeeper(clock, network.client(), signer.pubkey);
  const path = join(newFolder(), 'state.sqlite');
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });

  /** Starts the machine; the one before must have been stopped. */
  const start = (changes: { config?: Config; operatorPubkey?: string } = {}) => {
    const { config = makeConfig(fields), operatorPubkey = keeper.operatorPubkey } = changes;
    const line = network.client();
    const common = { relays: line, signer, operatorPubkey, clock, log: silentLog };
    const store = openStore({
      path,
      clock,
      random: systemRandom,
      log: silentLog,
      sealingKey: KEY,
      bootId: 'boot',
    });
    const inbox = new DocumentInbox({
      ...common,
      watermarks: { get: (type) => store.documents.watermark(type, operatorPubkey) },
    });
    const publisher = new DocumentPublisher({
      ...common,
      clocks: {
        last: (dTag) => store.outbox.lastCreatedAt(dTag),
        advance: (dTag, at) => store.commit(() => store.outbox.advance(dTag, at)),
      },
    });
    const board = new ReasonBoard();
    const state: { isIdle: boolean; knownSinceUnixMs: number | undefined; changes: number } = {
      isIdle: true,
      knownSinceUnixMs: 0,
      changes: 0,
    };
    const documents = new OperatorDocuments({
      config,
      store,
      board,
      clock,
      log,
      nostr: { inbox, publisher, time: state },
      pairing: { operatorPubkey },
      positions: POSITIONS,
      mayApply: () => state.isIdle,
      changed: () => {
        state.changes++;
      },
    });
    documents.open();
    let isStopped = false;
    const stop = () => {
      if (isStopped) return;
      isStopped = true;
      documents.close();
      inbox.close();
      store.close();
    };
    onTestFinished(stop);
    return { store, board, documents, line, inbox, publisher, state, stop };
  };

  /** Publishes as the operator and lets it arrive. */
  const said = async (publication: Promise<unknown>): Promise<void> => {
    await clock.resolve(publication);
    await clock.advance(1_000);
  };
  return { clock, network, signer, keeper, lines, start, said };
}
