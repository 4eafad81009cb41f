import { describe, expect, test } from 'vitest';
import { documentView } from '#agent/api/schemas.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, RelayError } from '#protocol/base/errors.ts';
import { newReference } from '#protocol/base/ids.ts';
import { minorUnits, sats } from '#protocol/base/money.ts';
import { kinds } from '#protocol/event.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { dispense, makeConfig, makeWorld, putUnit } from './rig.ts';

const twenty = (count: number) => ({ denomination: 20, count });
const STATE = 'bitspire-cassettes-state';
const BEACON = 'bitspire-beacon';
const open = { beacon: { public: true, cashLevel: true } };

/** A machine with two filled bays, all of whose documents have landed. */
async function makeFilled(fields: Record<string, unknown> = {}) {
  const world = makeWorld(fields);
  const machine = world.start();
  await world.said(world.keeper.publishFees());
  await world.said(world.keeper.publishCassettes({ 1: twenty(100), 2: twenty(100) }));
  await world.clock.advance(10_000);
  const said = (name: string) => world.keeper.received(name)?.content;
  return { ...world, ...machine, tells: said };
}

/** Silences the signer; returns how to end that, and how often it was asked. */
function silence({ signer }: Pick<ReturnType<typeof makeWorld>, 'signer'>) {
  const sign = signer.sign.bind(signer);
  let asked = 0;
  signer.sign = () => {
    asked++;
    return Promise.reject(new SignerError({ kind: 'silent', reason: 'away' }, 'sign_event'));
  };
  return {
    asked: () => asked,
    end: () => {
      signer.sign = sign;
    },
  };
}

describe('what goes out', () => {
  test('are the bays, after every change, once for several', async () => {
    const { tells, store, network, signer, clock } = await makeFilled();
    expect(tells(STATE)).toEqual({ positions: { 1: twenty(100), 2: twenty(100) } });
    const sign = signer.sign.bind(signer);
    let signatures = 0;
    signer.sign = (template) => {
      signatures++;
      return sign(template);
    };
    dispense(store, 1, 3);
    dispense(store, 2, 1);
    dispense(store, 1, 4);
    await clock.advance(10_000);
    expect(tells(STATE)).toEqual({ positions: { 1: twenty(93), 2: twenty(99) } });
    expect(signatures).toBe(1);
    expect(tells(BEACON)).toBeUndefined();
    const mine = network.stored({ kinds: [kinds.document], authors: [signer.pubkey] });
    expect(mine).toHaveLength(2);
    await clock.advance(3_600_000);
    expect(signatures).toBe(1);
  });

  test('are the obligations', async () => {
    const { tells, store, clock } = await makeFilled();
    expect(tells('bitspire-obligations')).toEqual({
      schema_version: 1,
      currency: 'USD',
      total: 0,
      obligations: [],
    });
    const reference = newReference(systemRandom);
    const common = { currency: 'USD', body: {} };
    store.commit(() => {
      store.obligations.insert({ ...common, reference, kind: 'noteUnknown' });
      const amounts = { amountSats: sats(5), amountMinor: minorUnits(2_000) };
      store.obligations.insert({ ...common, ...amounts, reference, kind: 'remainder' });
      store.journal.append('obligation.opened', {});
    });
    await clock.advance(10_000);
    const opened_at = expect.any(Number);
    expect(tells('bitspire-obligations')).toMatchObject({
      total: 2,
      obligations: [
        { reference, class: 'noteUnknown', amount_sats: null, amount_minor: null, opened_at },
        { reference, class: 'remainder', amount_sats: 5, amount_minor: 2_000, opened_at },
      ],
    });
  });

  test('is the beacon only with the opt-in, its level only with the second', async () => {
    const { tells, board, clock } = await makeFilled({ beacon: { public: true } });
    const beacon = { cash_in: true, cash_out: true, cash_level: null, fiat: 'USD' };
    expect(tells(BEACON)).toEqual({ ...beacon, model: 'bitSpire' });
    board.set('cashIn', 'cashBox', 'The cash box is full.');
    await clock.advance(10_000);
    expect(tells(BEACON)).toEqual({ ...beacon, cash_in: false, model: 'bitSpire' });
  });

  test('is plain for the beacon alone; the rest is for the operator to read', async () => {
    const { network, signer, keeper } = await makeFilled(open);
    const mine = network.stored({ kinds: [kinds.document], authors: [signer.pubkey] });
    const readers = mine.map(({ tags, content }) => ({
      name: tags.find(([tag]) => tag === 'd')?.[1]?.split(':')[0],
      to: tags.find(([tag]) => tag === 'p')?.[1],
      isPlain: content.startsWith('{'),
    }));
    const to = keeper.operatorPubkey;
    expect(readers.toSorted((a, b) => `${a.name}`.localeCompare(`${b.name}`))).toEqual([
      { name: BEACON, to: undefined, isPlain: true },
      { name: STATE, to, isPlain: false },
      { name: 'bitspire-obligations', to, isPlain: false },
    ]);
  });

  test('names the level of what can be handed out', async () => {
    const { tells, store, clock } = await makeFilled(open);
    const levels: unknown[] = [tells(BEACON)];
    for (const [at, count] of [
      [1, 100],
      [2, 61],
    ] as const) {
      dispense(store, at, count);
      await clock.advance(10_000);
      levels.push(tells(BEACON));
    }
    putUnit(store, 2, { accuracy: 'inaccurate' });
    store.commit(() => store.journal.append('test', {}));
    await clock.advance(10_000);
    levels.push(tells(BEACON));
    expect(levels).toMatchObject(
      ['ok', 'ok', 'low', 'empty'].map((cash_level) => ({ cash_level })),
    );
  });

  test('is no beacon that was not yet out when the operator opted out', async () => {
    const { start, signer, clock, tells, stop, network, board } = await makeFilled(open);
    const signing = silence({ signer });
    board.set('cashIn', 'cashBox', 'The cash box is full.');
    await clock.advance(3_000);
    stop();
    signing.end();
    const before = tells(BEACON);
    const { store, documents } = start({ config: makeConfig() });
    expect(store.outbox.pending().map(({ type }) => type)).toEqual([BEACON]);
    await clock.advance(60_000);
    expect(store.outbox.pending()).toEqual([]);
    expect(tells(BEACON)).toEqual(before);
    expect(network.stored({ '#d': [`${BEACON}:${signer.pubkey}`] })).toHaveLength(1);
    expect(documents.views().map(({ pending }) => pending)).not.toContain(true);
  });

  test('cannot be with a model that is no plain word', () => {
    const { start } = makeWorld({ ...open, model: '@everybody' });
    expect(() => start()).toThrow(ConfigError);
  });
});

describe('what does not land', () => {
  test('is tried again with growing pauses, over restarts', async () => {
    const world = await makeFilled();
    const { store, clock, stop, start, tells } = world;
    const signing = silence(world);
    dispense(store, 1, 1);
    const triedAtMs: number[] = [];
    const startMs = clock.monotonic();
    while (clock.monotonic() < startMs + 1_000_000) {
      const before = signing.asked();
      await clock.advance(500);
      if (signing.asked() > before) triedAtMs.push(clock.monotonic() - startMs);
    }
    expect(triedAtMs).toEqual([2, 7, 17, 37, 77, 157, 317, 617, 917].map((sec) => sec * 1000));
    dispense(store, 1, 1);
    await clock.advance(3_000);
    // A change is written down at once and does not shorten the pause.
    expect(store.outbox.pending()).toMatchObject([
      { type: STATE, content: expect.stringContaining('98') },
    ]);
    expect(signing.asked()).toBe(triedAtMs.length);
    stop();
    signing.end();
    const next = start();
    await clock.advance(10_000);
    expect(tells(STATE)).toEqual({ positions: { 1: twenty(98), 2: twenty(100) } });
    expect(next.store.outbox.pending()).toEqual([]);
  });

  test('is tried soon when woken', async () => {
    const world = await makeFilled();
    const { store, clock, documents, tells, stop } = world;
    const signing = silence(world);
    dispense(store, 1, 1);
    await clock.advance(100_000);
    signing.end();
    documents.wake();
    documents.wake();
    await clock.advance(5_000);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(99) } });
    stop();
    documents.wake();
    const { pending } = clock;
    await clock.advance(60_000);
    expect(clock.pending).toBeLessThanOrEqual(pending);
  });

  test('because no relay has it waits, with its time moved on', async () => {
    const { store, clock, line, tells } = await makeFilled();
    line.partition();
    dispense(store, 1, 1);
    await clock.advance(30_000);
    expect(store.outbox.pending()).toHaveLength(1);
    line.heal();
    await clock.advance(60_000);
    expect(store.outbox.pending()).toEqual([]);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(99) } });
  });

  test('because its time would run ahead waits', async () => {
    const { store, clock, tells, lines, signer } = await makeFilled();
    const aheadSec = Math.floor(clock.now() / 1000) + 60;
    store.commit(() => store.outbox.advance(`${STATE}:${signer.pubkey}`, aheadSec));
    dispense(store, 1, 1);
    await clock.advance(10_000);
    expect(lines.join()).toMatch(/its time would be \d+ s ahead/);
    await clock.advance(100_000);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(99) } });
  });

  test('for another key is published again, to that key', async () => {
    const { keeper, clock, stop, start, tells } = await makeFilled();
    const former = keeper.operatorPubkey;
    stop();
    keeper.rotateOperatorKey();
    expect(keeper.operatorPubkey).not.toBe(former);
    start();
    await clock.advance(10_000);
    expect(tells(STATE)).toEqual({ positions: { 1: twenty(100), 2: twenty(100) } });
    expect(tells('bitspire-obligations')).toBeDefined();
  });

  test('a newer version that comes while an older one is under way goes out as well', async () => {
    const { store, clock, publisher, tells } = await makeFilled();
    const publish = publisher.publish.bind(publisher);
    publisher.publish = async (document) => {
      publisher.publish = publish;
      const publication = await publish(document);
      dispense(store, 1, 10);
      await new Promise<void>((resolve) => clock.after(5_000, resolve));
      return publication;
    };
    dispense(store, 1, 1);
    await clock.advance(30_000);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(89) } });
    expect(store.outbox.pending()).toEqual([]);
  });

  test('when the disk is full waits until it is not', async () => {
    const { store, clock, tells, lines } = await makeFilled();
    const put = store.outbox.put.bind(store.outbox);
    store.outbox.put = () => {
      throw new RelayError('hardwareError', 'the disk is full');
    };
    dispense(store, 1, 1);
    await clock.advance(4_000);
    expect(lines.join()).toMatch(/not put into the outbox/);
    store.outbox.put = put;
    await clock.advance(10_000);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(99) } });
  });
});

describe('the end', () => {
  test('while a document is under way leaves it for the next start', async () => {
    const { store, clock, stop, start, tells, publisher, lines } = await makeFilled();
    const gate = Promise.withResolvers<void>();
    const publish = publisher.publish.bind(publisher);
    publisher.publish = async (document) => {
      await gate.promise;
      return publish(document);
    };
    dispense(store, 1, 1);
    await clock.advance(3_000);
    stop();
    gate.resolve();
    await clock.advance(10_000);
    // The store was closed under it.
    expect(lines.join()).toMatch(/not published/);
    start();
    await clock.advance(10_000);
    expect(tells(STATE)).toMatchObject({ positions: { 1: twenty(99) } });
  });

  test('after it was sent leaves it for the next start as well', async () => {
    const { store, clock, stop, start, documents, publisher } = await makeFilled();
    const publish = publisher.publish.bind(publisher);
    publisher.publish = async (document) => {
      const publication = await publish(document);
      documents.close();
      return publication;
    };
    dispense(store, 1, 1);
    await clock.advance(30_000);
    expect(store.outbox.pending()).toHaveLength(1);
    stop();
    const next = start();
    await clock.advance(10_000);
    expect(next.store.outbox.pending()).toEqual([]);
  });
});

describe('the view', () => {
  test('shows all that may come, what is out and what waits', async () => {
    const world = await makeFilled();
    const { documents, store, clock } = world;
    const views = documents.views();
    for (const view of views) documentView.parse(view);
    expect(views.map(({ type, direction, pending }) => [type, direction, pending])).toEqual([
      ['bitspire-cassettes', 'in', false],
      ['bitspire-fees', 'in', false],
      ['bitspire-limits', 'in', false],
      ['bitspire-technicians', 'in', false],
      [STATE, 'out', false],
      ['bitspire-obligations', 'out', false],
    ]);
    const never = { appliedAtUnixMs: null, createdAtUnixMs: null, eventId: null, content: null };
    expect(views[2]).toMatchObject({ ...never, refused: null });
    expect(views[4]?.createdAtUnixMs).toBeGreaterThan(0);
    expect(views[4]?.eventId).toMatch(/^[0-9a-f]{64}$/);
    silence(world);
    dispense(store, 1, 1);
    await clock.advance(3_000);
    expect(documents.views()[4]).toMatchObject({
      pending: true,
      eventId: views[4]?.eventId,
      content: { positions: { 1: twenty(99) } },
    });
  });

  test('shows what never was out, and a refusal before anything was applied', async () => {
    const world = makeWorld();
    silence(world);
    const { documents } = world.start();
    await world.said(world.keeper.publishOldCassettes({ 20: { position: 1, count: 3 } }));
    await world.clock.advance(5_000);
    const views = documents.views();
    expect(views[0]).toMatchObject({
      eventId: null,
      refused: expect.stringContaining('old shape'),
    });
    expect(views.slice(4)).toMatchObject([
      { type: 'bitspire-obligations', pending: true, eventId: null, appliedAtUnixMs: null },
    ]);
  });
});
