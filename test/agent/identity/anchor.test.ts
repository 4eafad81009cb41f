/** Two machines under one identity, and a disk that was put back: both show by the anchor. */
import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { restore } from '#agent/cli/offline.ts';
import { newReference } from '#protocol/base/ids.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

const told = { by: 'Ana', reason: 'the old box is scrapped' };
const HOUR_MS = 3_600_000;

const statePath = () => join(machine.config.paths.state, 'state.sqlite');
const anchorEvents = () =>
  machine.network.stored({ kinds: [30_078], '#d': [`bitspire-anchor:${machine.bunker.pubkey}`] });
/** What the operator reads in it. */
const anchor = () =>
  machine.keeper.received('bitspire-anchor')?.content as
    | {
        instance_id: string;
        epoch: number;
        journal: { seq: number; hash: string };
        published: Record<string, number>;
        applied: Record<string, { created_at: number; event_id: string }>;
      }
    | undefined;
const codes = () => machine.view.cashIn.reasons.map(({ code }) => code);
const found = () => machine.running.store.journal.read({ kind: 'anchor.found' });

async function started(): Promise<void> {
  machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
  await machine.clock.until(() => anchor() !== undefined, 60_000);
}

const stopped = () => machine.clock.resolve(machine.running.stop());

/** Something is owed, so that the operator is told soon where the journal is. */
function owe(): void {
  const { store } = machine.running;
  store.commit(() => {
    const reference = newReference(machine.random);
    store.obligations.insert({ reference, kind: 'surplusLink', currency: 'USD', body: {} });
    store.journal.append('obligation.opened', { kind: 'surplusLink' });
  });
}

/** The journal goes on, and the relays know it. */
async function goOn(): Promise<void> {
  owe();
  await machine.clock.advance(20_000);
}

/** Starts again and gives it time to look at the relays. */
async function startAgain(): Promise<void> {
  machine.start();
  await machine.until(({ state }) => state !== 'recovering', 'recovered');
  await machine.clock.advance(30_000);
}

describe('what it says', () => {
  test('instance, epoch, head and document clocks, to the operator alone', async () => {
    await started();
    const { store } = machine.running;
    const said = anchor();
    const seq = said?.journal.seq ?? 0;
    const [entry] = store.journal.read({ afterSeq: seq - 1, limit: 1 });
    expect(entry?.hash).toBe(said?.journal.hash);
    expect(said).toMatchObject({
      schema_version: 1,
      instance_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      epoch: 1,
    });
    expect(Object.keys(said?.applied ?? {})).toEqual(['bitspire-cassettes', 'bitspire-fees']);
    const [event] = anchorEvents();
    expect(event?.tags).toContainEqual(['p', machine.keeper.operatorPubkey]);
    expect(event?.content).not.toContain(said?.instance_id);
  });

  test('every hour, and soon after something is owed', async () => {
    await started();
    const first = anchorEvents()[0]?.created_at ?? 0;
    await machine.clock.advance(HOUR_MS);
    await machine.clock.advance(30_000);
    const second = anchorEvents()[0]?.created_at ?? 0;
    expect(second - first).toBeGreaterThanOrEqual(3_600);
    owe();
    await machine.clock.advance(20_000);
    const third = anchorEvents()[0]?.created_at ?? 0;
    expect(third - second).toBeLessThan(600);
    expect(third).toBeGreaterThan(second);
  });

  test('a new operator gets it again', async () => {
    await started();
    const after = machine.keeper.rotateOperatorKey();
    machine.running.service.setOperator({ operator: after, ...told });
    await machine.clock.until(() => anchor() !== undefined, 60_000);
    expect(machine.keeper.received('bitspire-anchor')?.event.tags).toContainEqual(['p', after]);
  });
});

describe('nothing is found', () => {
  test('a restart goes on under the same instance', async () => {
    await started();
    const before = anchor()?.instance_id;
    await stopped();
    await startAgain();
    expect(codes()).toEqual([]);
    expect(anchor()?.instance_id).toBe(before);
    expect(found()).toEqual([]);
  });

  test('without an anchor, or without a relay, the machine serves', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    expect(anchor()).toBeUndefined();
    expect(codes()).toEqual([]);
    await machine.clock.until(() => anchor() !== undefined, 60_000);
    await stopped();
    machine.start();
    for (const line of machine.lines) line.partition();
    await machine.clock.advance(5_000);
    expect(codes()).not.toContain('twin');
    expect(codes()).not.toContain('rolledBack');
  });

  test('after a declared restore', async () => {
    await started();
    const { path } = await machine.running.service.backup();
    await goOn();
    await stopped();
    restore(path, machine.config.paths.state);
    await startAgain();
    expect(codes()).not.toContain('rolledBack');
    expect(anchor()?.epoch).toBe(2);
  });
});

describe('twin', () => {
  /** Another machine with the same pairing, whose state is its own. */
  async function becomeTwin(): Promise<void> {
    await started();
    await stopped();
    renameSync(statePath(), `${statePath()}.of-the-first`);
    await startAgain();
  }

  test('a second machine is out of service, and says nothing in place of the first', async () => {
    await becomeTwin();
    expect(machine.view.state).toBe('outOfService');
    expect(codes()).toContain('twin');
    expect(machine.view.cashOut.reasons.map(({ code }) => code)).toContain('twin');
    const text = machine.view.cashIn.reasons.find(({ code }) => code === 'twin')?.text;
    expect(text).toContain(anchor()?.instance_id.slice(0, 8));
    const before = anchorEvents()[0]?.id;
    await goOn();
    expect(anchorEvents()[0]?.id).toBe(before);
    expect(found().map(({ body }) => body.code)).toEqual(['twin']);
  });

  test('the doctor says what to do, and no fault is repeated', async () => {
    await becomeTwin();
    const { findings } = await machine.clock.resolve(machine.running.service.doctor());
    const identity = findings.filter(({ subject }) => subject === 'identity');
    expect(identity).toHaveLength(1);
    expect(identity[0]?.next).toContain('spire service accept-anchor');
  });

  test('it holds over a restart without any relay', async () => {
    await becomeTwin();
    await stopped();
    machine.start();
    for (const line of machine.lines) line.partition();
    await machine.clock.advance(30_000);
    expect(codes()).toContain('twin');
    expect(found()).toHaveLength(1);
  });

  test('a person accepts it, and the first machine is the twin from then on', async () => {
    await becomeTwin();
    const first = anchor()?.instance_id;
    expect(machine.running.service.acceptAnchor(told)).toBe('accepted');
    expect(codes()).not.toContain('twin');
    await machine.clock.until(() => anchor()?.instance_id !== first, 60_000);
    const accepted = machine.running.store.journal.read({ kind: 'anchor.accepted' });
    expect(accepted.map(({ body }) => body)).toMatchObject([
      { code: 'twin', instanceId: first, ...told },
    ]);
    expect(machine.running.service.acceptAnchor(told)).toBe('nothingFound');
    await stopped();
    await startAgain();
    expect(codes()).not.toContain('twin');

    await stopped();
    renameSync(statePath(), `${statePath()}.of-the-second`);
    renameSync(`${statePath()}.of-the-first`, statePath());
    await startAgain();
    expect(codes()).toContain('twin');
  });

  test('what waited to be published from before does not take the place of the evidence', async () => {
    await started();
    for (const line of machine.lines) line.partition();
    owe();
    const { store } = machine.running;
    const waiting = () => store.outbox.pending().map(({ type }) => type);
    await machine.clock.until(() => waiting().includes('bitspire-anchor'), 30_000);
    await stopped();
    renameSync(statePath(), `${statePath()}.of-the-first`);
    await startAgain();
    machine.running.service.acceptAnchor(told);
    const first = anchor()?.instance_id;
    await machine.clock.until(() => anchor()?.instance_id !== first, 60_000);
    await stopped();
    const evidence = anchorEvents()[0]?.id;
    renameSync(`${statePath()}.of-the-first`, statePath());
    await startAgain();
    expect(codes()).toContain('twin');
    await machine.clock.advance(60_000);
    expect(anchorEvents()[0]?.id).toBe(evidence);
  });

  test('a twin that starts while we serve is found at once', async () => {
    await started();
    // The first bytes that a whole machine draws are its identity.
    const key = seededRandom('whole machine').bytes(32);
    const { crypto, clock, bunker, keeper } = machine;
    expect(crypto.publicKeyOf(key)).toBe(bunker.pubkey);
    const other = JSON.stringify({ ...anchor(), instance_id: 'ab'.repeat(16) });
    await clock.advance(60_000);
    const twin = crypto.sign(key, {
      kind: 30_078,
      created_at: Math.floor(clock.now() / 1_000),
      tags: [
        ['d', `bitspire-anchor:${bunker.pubkey}`],
        ['p', keeper.operatorPubkey],
      ],
      content: crypto.encrypt(key, keeper.operatorPubkey, other),
    });
    await clock.resolve(machine.network.client().publish(twin));
    await machine.clock.until(() => codes().includes('twin'), 10_000);
  });
});

describe('rolled back', () => {
  /** Keeps a copy of the state, lets the machine go on for an hour, and puts the copy back. */
  async function rollBack(): Promise<void> {
    await started();
    await stopped();
    copyFileSync(statePath(), `${statePath()}.old`);
    await startAgain();
    await goOn();
    await stopped();
    copyFileSync(`${statePath()}.old`, statePath());
    await startAgain();
  }

  test('an old state that was put back is out of service, and stays so', async () => {
    await rollBack();
    expect(machine.view.state).toBe('outOfService');
    expect(codes()).toContain('rolledBack');
    const text = machine.view.cashIn.reasons.find(({ code }) => code === 'rolledBack')?.text;
    expect(text).toMatch(/is an old one: entry \d+ of its journal was published at 2026-/);
    // Its own journal goes on beyond what was published: it stays what it is.
    for (let starts = 0; starts < 3; starts++) {
      await stopped();
      await startAgain();
    }
    expect(codes()).toContain('rolledBack');
    expect(codes()).not.toContain('twin');
    expect(found()).toHaveLength(1);
  });

  test('nobody accepts it without a declared restore', async () => {
    await rollBack();
    expect(machine.running.service.acceptAnchor(told)).toBe('restoreFirst');
    expect(codes()).toContain('rolledBack');
    const { path } = await machine.running.service.backup();
    await stopped();
    restore(path, machine.config.paths.state);
    await startAgain();
    expect(codes()).not.toContain('rolledBack');
    expect(anchor()?.epoch).toBe(2);
  });

  test('the newest state in its place again is well', async () => {
    await started();
    await stopped();
    mkdirSync(`${statePath()}.kept`);
    copyFileSync(statePath(), `${statePath()}.kept/old`);
    await startAgain();
    await goOn();
    await stopped();
    copyFileSync(statePath(), `${statePath()}.kept/new`);
    copyFileSync(`${statePath()}.kept/old`, statePath());
    await startAgain();
    expect(codes()).toContain('rolledBack');
    await stopped();
    copyFileSync(`${statePath()}.kept/new`, statePath());
    rmSync(`${statePath()}.kept`, { recursive: true });
    await startAgain();
    expect(codes()).toEqual([]);
  });
});
