/** Laws over any sequence of documents, dispenses and counts by hand, against a slow twin. */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IncomingDocuments } from '#agent/documents/incoming.ts';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { readText } from '#protocol/documents/document.ts';
import { incomingTypes } from '#protocol/documents/registry.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { openStore, type Store } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { KEY, newFolder } from '../../state/fixtures.ts';
import { bayOf, dispense, makeConfig, POSITIONS } from './rig.ts';

type Bays = Record<string, { denomination: number; count: number }>;
type Step =
  | {
      readonly do: 'document';
      readonly bays: Bays;
      readonly ageSec: number;
      readonly author: string;
    }
  | { readonly do: 'dispense'; readonly at: number; readonly count: number }
  | { readonly do: 'count'; readonly at: number; readonly count: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'session'; readonly isIdle: boolean };

const at = fc.integer({ min: 1, max: 3 });
const count = fc.integer({ min: 0, max: 12 });
const bay = fc.record({ denomination: fc.constantFrom(20, 50), count });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('document' as const),
      bays: fc.oneof(
        fc.constant({ 1: { denomination: 20, count: 9 } }),
        fc.dictionary(fc.constantFrom('1', '2', '3'), bay, { minKeys: 1 }),
      ),
      ageSec: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 })),
      author: fc.constantFrom('a', 'b'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('dispense' as const), at, count }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('count' as const), at, count }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 40_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('session' as const), isIdle: fc.boolean() }),
  },
);

interface TwinBay {
  denomination: number;
  count: number;
  countedAt: number;
  /** Notes that moved, with when. */
  readonly moved: { readonly at: number; readonly notes: number }[];
}

interface Written {
  readonly bays: Bays;
  readonly asOf: number;
}

/** What the page says, written down without a ledger. */
class Twin {
  readonly bays = new Map<number, TwinBay>();
  isIdle: boolean = true;
  #applied: string | undefined;
  #waiting: Written | undefined;

  hear(written: Written): void {
    this.#waiting = written;
    this.settle();
  }

  settle(): void {
    const written = this.#waiting;
    if (!written || !this.isIdle) return;
    this.#waiting = undefined;
    const entries = Object.entries(written.bays).sort(([a], [b]) => Number(a) - Number(b));
    const name = JSON.stringify(entries.map(([key, one]) => [key, one.denomination, one.count]));
    if (name === this.#applied) return;
    this.#applied = name;
    for (const [key, { denomination, count: stated }] of entries) {
      const { countedAt, moved } = this.bays.get(Number(key)) ?? { countedAt: -1, moved: [] };
      if (countedAt > written.asOf) continue;
      const later = moved.filter((move) => move.at > written.asOf);
      const sum = later.reduce((total, { notes }) => total + notes, stated);
      this.bays.set(Number(key), { denomination, count: Math.max(0, sum), countedAt, moved });
    }
  }
}

function newMachine(path: string) {
  const clock = new VirtualClock();
  const store = openStore({
    path,
    clock,
    random: systemRandom,
    log: silentLog,
    sealingKey: KEY,
    bootId: 'boot',
  });
  const twin = new Twin();
  let events = 0;
  const incoming = new IncomingDocuments({
    config: makeConfig({ cassettes: { changedDenomination: 'apply' } }),
    store,
    board: new ReasonBoard(),
    clock,
    log: silentLog,
    positions: POSITIONS,
    timeKnownSince: () => 0,
    mayApply: () => twin.isIdle,
    changed: () => undefined,
  });
  const hear = (bays: Bays, ageSec: number, author: string): void => {
    const text = JSON.stringify({ positions: bays });
    const parsed = readText(incomingTypes.cassettes, text);
    if (parsed.kind === 'refused') throw new Error(parsed.reason);
    const createdAt = Math.floor(clock.now() / 1000) - ageSec;
    const id = (events++).toString(16).padStart(64, '0');
    const pubkey = author.repeat(64);
    const event = {
      id,
      pubkey,
      created_at: createdAt,
      kind: 30_078,
      tags: [],
      content: '',
      sig: '',
    };
    incoming.receive({ kind: 'accepted', document: parsed.document, text, event });
    twin.hear({ bays, asOf: createdAt * 1000 });
  };
  return { clock, store, twin, incoming, hear };
}

/** A technician counts: the difference is a movement, and the bay is sure from now on. */
function countByHand(store: Store, clock: VirtualClock, at: number, counted: number): void {
  const unit = store.cashUnits.get(position(at));
  if (!unit) return;
  const { currency, value } = unit;
  const own = bayAccount(unit.position);
  const difference = counted - store.ledger.count(own, value);
  store.commit(() => {
    const common = { currency, value, count: Math.abs(difference), cause: 'exchange' };
    if (difference > 0) store.ledger.move({ ...common, from: 'unaccounted', to: own });
    if (difference < 0) store.ledger.move({ ...common, from: own, to: 'unaccounted' });
    const countedAtUnixMs = clock.now();
    store.cashUnits.put({ ...unit, parked: false, accuracy: 'accurate', countedAtUnixMs });
  });
}

async function take(machine: ReturnType<typeof newMachine>, one: Step): Promise<void> {
  const { clock, store, twin, incoming } = machine;
  switch (one.do) {
    case 'document':
      return machine.hear(one.bays, one.ageSec, one.author);
    case 'wait':
      return clock.advance(one.ms);
    case 'session':
      twin.isIdle = one.isIdle;
      incoming.applyPending();
      return twin.settle();
    case 'dispense': {
      const notes = Math.min(one.count, bayOf(store, one.at)?.count ?? 0);
      if (notes === 0) return;
      dispense(store, one.at, notes);
      const held = twin.bays.get(one.at);
      if (!held) throw new Error('the twin has no such bay');
      held.count -= notes;
      held.moved.push({ at: clock.now(), notes: -notes });
      return;
    }
    case 'count': {
      const held = twin.bays.get(one.at);
      countByHand(store, clock, one.at, one.count);
      if (!held) return;
      held.moved.push({ at: clock.now(), notes: one.count - held.count });
      held.count = one.count;
      held.countedAt = clock.now();
    }
  }
}

const holdings = (store: Store) =>
  [1, 2, 3].map((one) => {
    const held = bayOf(store, one);
    return held && { denomination: held.value / 100, count: held.count };
  });

test('counts are those of the twin, and never change without a movement', async () => {
  const folder = newFolder();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const machine = newMachine(join(folder, `${runs++}.sqlite`));
      const { store, twin } = machine;
      try {
        for (const one of steps) {
          const before = store.ledger.balances();
          const seq = store.ledger.movements({ limit: 10_000 }).length;
          await take(machine, one);
          const movements = store.ledger.movements({ afterSeq: seq });
          for (const own of [1, 2, 3].map(position).map(bayAccount)) {
            for (const value of [2_000, 5_000].map(minorUnits)) {
              const was = before.find((sum) => sum.account === own && sum.value === value);
              const net = movements
                .filter((move) => move.value === value)
                .reduce(
                  (sum, { from, to, count: notes }) =>
                    sum + (to === own ? notes : 0) - (from === own ? notes : 0),
                  was?.count ?? 0,
                );
              expect(store.ledger.count(own, value)).toBe(net);
            }
          }
          expect(holdings(store)).toEqual(
            [1, 2, 3].map((key) => {
              const held = twin.bays.get(key);
              return held && { denomination: held.denomination, count: held.count };
            }),
          );
        }
        expect(store.verify()).toMatchObject({ ledger: 'ok', chain: 'ok', integrity: 'ok' });
      } finally {
        store.close();
      }
    }),
    { numRuns: 100 },
  );
});
