/**
 * Laws over any interleaving of sales, deposits, exchanges with every answer and its undoing,
 * cassettes that change places, the operator's documents and republications, and restarts, against
 * a twin that has no ledger.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExchangeAnswer, ExchangeView } from '#agent/api/visit-schemas.ts';
import { bookOut } from '#agent/cash-out/dispense-batch.ts';
import { IncomingDocuments } from '#agent/documents/incoming.ts';
import { isSwapped, noteCassettes } from '#agent/exchange/cassettes.ts';
import { ExchangeDesk } from '#agent/exchange/exchange-desk.ts';
import type { Parts } from '#agent/parts.ts';
import { position } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { readText } from '#protocol/documents/document.ts';
import { incomingTypes } from '#protocol/documents/registry.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { openStore, type Store } from '#state/store.ts';
import type { Technician } from '#state/technicians.ts';
import { type TestParts, testParts } from '#test/support/parts.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { KEY, newFolder } from '../../state/fixtures.ts';

type Bays = Record<string, { denomination: number; count: number }>;

const BAYS = [1, 2, 3, 4] as const;
const ID = 'a'.repeat(32);
/** Four bays with six questions each, two boxes with three, four tests, and the end. */
const ANSWERS_MAX = 36;
const constant = <Word extends string>(word: Word) => fc.constant(word);
const small = fc.integer({ min: 0, max: 12 });

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: constant('document'),
      bays: fc.oneof(
        fc.constant({ 1: { denomination: 20, count: 9 } }),
        fc.dictionary(
          fc.constantFrom('1', '2', '3'),
          fc.record({ denomination: fc.constantFrom(20, 50), count: small }),
          { minKeys: 1 },
        ),
      ),
      ageSec: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: constant('sale'), at: fc.nat(3), count: small }) },
  { weight: 1, arbitrary: fc.record({ do: constant('deposit'), count: small }) },
  { weight: 2, arbitrary: fc.record({ do: constant('begin') }) },
  { weight: 12, arbitrary: fc.record({ do: constant('answer'), pick: fc.nat(11), count: small }) },
  { weight: 2, arbitrary: fc.record({ do: constant('finish'), pick: fc.nat(11), count: small }) },
  { weight: 2, arbitrary: fc.record({ do: constant('undo') }) },
  { weight: 1, arbitrary: fc.record({ do: constant('abandon') }) },
  { weight: 1, arbitrary: fc.record({ do: constant('restart') }) },
  { weight: 2, arbitrary: fc.record({ do: constant('swap'), one: fc.nat(3), other: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: constant('wait'), ms: fc.integer({ min: 1, max: 40_000 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const REPUBLISHED = {
  do: 'document',
  bays: { 1: { denomination: 20, count: 9 } },
  ageSec: 0,
} as const;
const answers = (...picks: readonly number[]) =>
  picks.map((pick) => ({ do: 'answer', pick, count: 0 }) as const);
/** Rare ways that are gone in every run. */
const ALWAYS: readonly (readonly Step[])[] = [
  // What was sold stays sold when the operator publishes the same counts again.
  [
    REPUBLISHED,
    { do: 'wait', ms: 5_000 },
    { do: 'sale', at: 0, count: 3 },
    { do: 'wait', ms: 5_000 },
    REPUBLISHED,
  ],
  // Two cassettes changed places, one is filled, and the exchange is given up.
  [
    { do: 'swap', one: 0, other: 1 },
    { do: 'begin' },
    ...answers(2, 0, 0, 0),
    { do: 'restart' },
    { do: 'abandon' },
  ],
];

interface TwinBay {
  denomination: number;
  count: number;
  countedAt: number;
  /** Notes that moved, with when. */
  readonly moved: { readonly at: number; readonly notes: number }[];
}
type Held = Pick<TwinBay, 'denomination' | 'count'>;

/** What design 10 and 11 say, written down without a ledger. */
class Twin {
  readonly bays = new Map<number, TwinBay>();
  /** Bays as they were before each answer that stands; undefined while no exchange is open. */
  #answers: { readonly at: number; readonly before: Held }[] | undefined;
  #applied: string | undefined;
  #waiting: { readonly bays: Bays; readonly asOf: number } | undefined;
  /** Which cassette stands in each bay, and in which bays another one than its own did. */
  readonly cassettes: number[] = [...BAYS];
  readonly closed = new Set<number>();
  readonly #known = new Map<number, number>();

  get isOpen(): boolean {
    return this.#answers !== undefined;
  }

  bay(at: number): TwinBay {
    const bay = this.bays.get(at);
    if (!bay) throw new Error(`the twin has no bay ${at}`);
    return bay;
  }

  hear(bays: Bays, asOf: number): void {
    this.#waiting = { bays, asOf };
    this.#settle();
  }

  /** What a program only remembers. */
  forget(): void {
    this.#waiting = undefined;
  }

  #settle(): void {
    const written = this.#waiting;
    if (!written || this.#answers) return;
    this.#waiting = undefined;
    const entries = Object.entries(written.bays).sort(([a], [b]) => Number(a) - Number(b));
    const name = JSON.stringify(entries.map(([key, one]) => [key, one.denomination, one.count]));
    if (name === this.#applied) return;
    this.#applied = name;
    for (const [key, { denomination, count: stated }] of entries) {
      const bay = this.bay(Number(key));
      if (bay.countedAt > written.asOf) continue;
      const later = bay.moved.filter((move) => move.at > written.asOf);
      const sum = later.reduce((total, { notes }) => total + notes, stated);
      Object.assign(bay, { denomination, count: Math.max(0, sum) });
    }
  }

  move(at: number, nowMs: number, held: Held): void {
    const bay = this.bay(at);
    bay.moved.push({ at: nowMs, notes: held.count - bay.count });
    Object.assign(bay, held);
  }

  begin(): void {
    this.#answers ??= [];
  }

  /** An answer about a bay, or about nothing that a bay holds. */
  answer(at: number, nowMs: number, held?: Held): void {
    const { denomination, count } = this.bay(at);
    this.#answers?.push({ at, before: { denomination, count } });
    if (held) this.move(at, nowMs, held);
  }

  undo(nowMs: number): void {
    const last = this.#answers?.pop();
    if (last && this.bay(last.at).count !== last.before.count) {
      this.move(last.at, nowMs, last.before);
    } else if (last) Object.assign(this.bay(last.at), last.before);
  }

  end(nowMs: number, counted: readonly number[]): void {
    for (const at of counted) {
      this.bay(at).countedAt = nowMs;
      // A cassette that closed its bay is the bay's own from its count on.
      if (this.closed.delete(at)) this.#known.set(at, this.cassettes[at - 1] ?? 0);
      else if (this.#isAnother(at)) this.closed.add(at);
    }
    this.#answers = undefined;
    this.#close();
    this.#settle();
  }

  /** Two cassettes change places: their bays are closed, as soon as no hands are in the machine. */
  swap(one: number, other: number): void {
    const { cassettes } = this;
    const [here = 0, there = 0] = [cassettes[one - 1], cassettes[other - 1]];
    cassettes[one - 1] = there;
    cassettes[other - 1] = here;
    this.#close();
  }

  #isAnother(at: number): boolean {
    return this.cassettes[at - 1] !== (this.#known.get(at) ?? at);
  }

  #close(): void {
    if (this.#answers) return;
    for (const at of BAYS) if (this.#isAnother(at)) this.closed.add(at);
  }
}

/** A machine of which only books, desk and documents are there. */
class Rig {
  readonly twin = new Twin();
  readonly parts: TestParts;
  readonly #path: string;
  #store: Store;
  #desk: ExchangeDesk;
  #documents: IncomingDocuments;
  #events = 0;
  #seals = 0;

  private constructor(parts: TestParts, path: string) {
    this.parts = parts;
    this.#path = path;
    this.#store = parts.store;
    const bookedAt = this.#store.ledger.movements()[0]?.atUnixMs ?? 0;
    for (const { position: at, value } of this.#store.cashUnits.list()) {
      const count = this.#store.ledger.count(bayAccount(at), value);
      const moved = [{ at: bookedAt, notes: count }];
      this.twin.bays.set(at, { denomination: value / 100, count, countedAt: -1, moved });
    }
    const ana = { id: ID, name: 'Ana', permissions: ['exchange', 'collect'], createdAtUnixMs: 1 };
    const pin = { salt: new Uint8Array(16), hash: new Uint8Array(32) };
    this.#store.commit(() => this.#store.technicians.insert(ana, pin));
    this.#desk = this.#newDesk();
    this.#documents = this.#newDocuments();
    this.#look();
  }

  static async open(path: string): Promise<Rig> {
    const config = { cassettes: { changedDenomination: 'apply' } };
    return new Rig(await testParts({ store: { path }, config }), path);
  }

  get store(): Store {
    return this.#store;
  }

  get #now(): Parts {
    return { ...this.parts, store: this.#store };
  }

  get #ana(): Technician {
    const ana = this.#store.technicians.get(ID);
    if (!ana) throw new Error('Ana is gone');
    return ana;
  }

  #newDesk(): ExchangeDesk {
    return new ExchangeDesk(this.#now, {
      isAtRest: () => true,
      checkDispenser: async () => undefined,
      ended: () => this.#documents.applyPending(),
    });
  }

  #newDocuments(): IncomingDocuments {
    return new IncomingDocuments({
      ...this.#now,
      positions: BAYS.map(position),
      timeKnownSince: () => 0,
      mayApply: () => !this.#desk.isOpen(),
      changed: () => undefined,
    });
  }

  close(): void {
    this.#store.close();
  }

  async take(one: Step): Promise<void> {
    const { clock } = this.parts;
    switch (one.do) {
      case 'wait':
        return clock.advance(one.ms);
      case 'document':
        return this.#hear(one.bays, one.ageSec);
      case 'sale':
        return this.#sell(one.at + 1, one.count);
      case 'deposit':
        return this.#deposit(one.count);
      case 'begin':
        this.#desk.begin(this.#ana);
        return this.twin.begin();
      case 'restart':
        this.#store.close();
        this.#store = openIn(this.#path, clock);
        this.#desk = this.#newDesk();
        this.#documents = this.#newDocuments();
        this.#look();
        return this.twin.forget();
      case 'swap':
        this.twin.swap(one.one + 1, one.other + 1);
        return this.#look();
      default:
        return this.#visit(one);
    }
  }

  /** The dispenser says which cassettes it reads. */
  #look(): void {
    const units = this.twin.cassettes.map((code, index) => {
      return { position: position(index + 1), status: 'ok', cassette: `${code}` } as const;
    });
    noteCassettes(this.#now, units, this.#desk.isOpen());
  }

  #hear(bays: Bays, ageSec: number): void {
    const text = JSON.stringify({ positions: bays });
    const parsed = readText(incomingTypes.cassettes, text);
    if (parsed.kind === 'refused') throw new Error(parsed.reason);
    const created_at = Math.floor(this.parts.clock.now() / 1_000) - ageSec;
    const id = (this.#events++).toString(16).padStart(64, '0');
    const named = { id, pubkey: 'a'.repeat(64), created_at, kind: 30_078 };
    const event = { ...named, tags: [], content: '', sig: '' };
    this.#documents.receive({ kind: 'accepted', document: parsed.document, text, event });
    this.twin.hear(bays, created_at * 1_000);
  }

  #sell(at: number, count: number): void {
    const bay = this.twin.bay(at);
    const notes = Math.min(count, bay.count);
    if (this.#desk.isOpen() || notes === 0) return;
    this.#store.commit(() => bookOut(this.#now, undefined, position(at), 'customer', notes));
    const held = { denomination: bay.denomination, count: bay.count - notes };
    this.twin.move(at, this.parts.clock.now(), held);
  }

  #deposit(count: number): void {
    if (this.#desk.isOpen() || count === 0) return;
    const note = { currency: 'USD', value: minorUnits(2_000), cause: 'deposit' };
    this.#store.commit(() => {
      this.#store.ledger.move({ ...note, from: 'customer', to: 'cashbox', count });
    });
  }

  #visit(one: Extract<Step, { do: 'answer' | 'finish' | 'undo' | 'abandon' }>): void {
    const view = this.#desk.view(this.#ana);
    if (!view) return;
    const at = { exchange: view.id, step: view.step };
    const now = this.parts.clock.now();
    if (one.do === 'abandon') {
      this.#desk.abandon(this.#ana, at, 'rain');
      this.twin.end(now, []);
    } else if (one.do === 'undo') {
      if (!view.canUndo) return;
      this.#desk.undo(this.#ana, at);
      this.twin.undo(now);
    } else if (one.do === 'answer') this.#answer(view, one.pick, one.count);
    else this.#finish(one.pick, one.count);
  }

  /** Answers one way or another until it is closed. */
  #finish(pick: number, count: number): void {
    for (let at = 0; at < ANSWERS_MAX; at++) {
      const view = this.#desk.view(this.#ana);
      if (!view) return;
      this.#answer(view, view.asks?.kind === 'close' ? 0 : pick + at, (count + at) % 13);
    }
    throw new Error('the exchange never ends');
  }

  #answer(view: ExchangeView, pick: number, count: number): void {
    const now = this.parts.clock.now();
    const at = { exchange: view.id, step: view.step };
    const { asks } = view;
    if (asks?.kind === 'close') {
      if (pick > 3) return;
      this.#desk.close(this.#ana, at);
      const counted = view.bays.filter(({ choice }) => choice === 'count' || choice === 'seal');
      const positions = counted.map(({ position: bay }) => bay);
      this.twin.end(now, positions);
      return;
    }
    const answer = asks && this.#answerTo(asks, pick, count);
    if (!answer) throw new Error('it asks nothing');
    this.#desk.answer(this.#ana, at, answer);
    const place = 'place' in asks ? asks.place : '';
    const bay = 'position' in asks ? asks.position : Number(place.replace(/^bay:/, ''));
    const isBay = BAYS.some((one) => one === bay);
    this.twin.answer(isBay ? bay : 1, now, isBay ? this.#heldAfter(bay, asks, answer) : undefined);
  }

  /** What an answer says is in a bay; undefined when it says nothing of that. */
  #heldAfter(
    bay: number,
    asks: NonNullable<ExchangeView['asks']>,
    answer: ExchangeAnswer,
  ): Held | undefined {
    const { denomination } = this.twin.bay(bay);
    if (answer.kind === 'bayCount' || answer.kind === 'seal') return { denomination, count: 0 };
    if (answer.kind !== 'load' || asks.kind !== 'load') return undefined;
    return { denomination: asks.denomination, count: answer.count };
  }

  #answerTo(
    asks: NonNullable<ExchangeView['asks']>,
    pick: number,
    count: number,
  ): ExchangeAnswer | undefined {
    switch (asks.kind) {
      case 'bay':
      case 'box':
        return { kind: asks.kind, choice: asks.choices[pick % asks.choices.length] ?? 'leave' };
      case 'bayCount':
        return { kind: 'bayCount', count };
      case 'reason':
        return { kind: 'reason', reason: 'unexplained', note: '' };
      case 'seal':
        return { kind: 'seal', seal: `S-${++this.#seals}` };
      case 'denomination':
        return { kind: 'denomination', denomination: pick % 2 === 0 ? 20 : 50 };
      case 'load':
        return { kind: 'load', count };
      case 'boxCount':
        return { kind: 'boxCount', counts: [{ denomination: 20, count }] };
      case 'test':
        return { kind: 'test', choice: 'skip' };
      default:
        return undefined;
    }
  }

  /** Bays that are closed for another cassette, as it is told; each of them hands out nothing. */
  closed(): number[] {
    const closed = BAYS.filter((at) => isSwapped(this.#now, position(at)));
    for (const at of this.twin.isOpen ? [] : closed) {
      expect([at, this.#store.cashUnits.get(position(at))?.parked]).toEqual([at, true]);
    }
    return closed;
  }

  /** What the books say of each bay. */
  holdings(): readonly Held[] {
    return this.#store.cashUnits.list().map(({ position: at, value }) => {
      return { denomination: value / 100, count: this.#store.ledger.count(bayAccount(at), value) };
    });
  }
}

function openIn(path: string, clock: TestParts['clock']): Store {
  const random = seededRandom(path);
  return openStore({ path, clock, random, log: silentLog, sealingKey: KEY, bootId: 'boot' });
}

test('the ledger balances, counts are those of the twin, and no movement is ever undone', async () => {
  const folder = newFolder();
  let runs = 0;
  let closed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const rig = await Rig.open(join(folder, `${runs++}.sqlite`));
      try {
        const seen = rig.store.ledger.movements();
        for (const one of steps) {
          await rig.take(one);
          const held = BAYS.map((at) => rig.twin.bay(at));
          expect(rig.holdings()).toEqual(
            held.map(({ denomination, count }) => ({ denomination, count })),
          );
          expect(rig.closed()).toEqual(BAYS.filter((at) => rig.twin.closed.has(at)));
          seen.push(...rig.store.ledger.movements({ afterSeq: seen.at(-1)?.seq ?? 0 }));
        }
        // Whatever was written stays as it was: what is new comes after it.
        expect(rig.store.ledger.movements({ limit: 10_000 })).toEqual(seen);
        expect(rig.store.verify()).toMatchObject({ ledger: 'ok', chain: 'ok', integrity: 'ok' });
        closed += rig.store.journal.read({ kind: 'exchange.closed' }).length;
      } finally {
        rig.close();
      }
    }),
    { numRuns: 50, examples: ALWAYS.map((steps): [Step[]] => [[...steps]]) },
  );
  expect(closed).toBeGreaterThan(0);
});
