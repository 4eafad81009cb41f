/**
 * What is said of a case: `spire obligations` and the bundle of `spire dispute`, from whole
 * machines
 * that had the case.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bech32 } from '@scure/base';
import { expect, onTestFinished, test } from 'vitest';
import { type DisputeBundle, disputeBundle } from '#agent/api/owed-schemas.ts';
import { dispute } from '#agent/recovery/dispute.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { canonicalJson, type JsonValue } from '#state/json.ts';
import { newTransaction } from '#test/state/fixtures.ts';
import { testParts } from '#test/support/parts.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;

async function begin(options: MachineOptions = {}): Promise<void> {
  machine = await WholeMachine.inService(options);
  onTestFinished(() => machine.stop());
}

/** The bundle as a file has it. */
async function bundleOf(name: string): Promise<{ bundle: DisputeBundle; text: string }> {
  const made = await machine.clock.resolve(machine.running.service.dispute(name));
  const text = canonicalJson(disputeBundle.parse(made) as JsonValue);
  return { bundle: disputeBundle.parse(JSON.parse(text)), text };
}

/** Written from the description in the schema, and from nothing else. */
function isWhole({ complete, entries }: DisputeBundle['journal']): boolean {
  return entries.every((entry, index) => {
    const { seq, epoch, bootId, atUnixMs, monotonicMs, kind, transactionId, body } = entry;
    const fields = [seq, epoch, bootId, atUnixMs, monotonicMs, kind, transactionId];
    const text = canonicalJson(body as JsonValue);
    const list = JSON.stringify([...fields, text, entry.previousHash]);
    if (createHash('sha256').update(list).digest('hex') !== entry.hash) return false;
    return index === 0 || !complete || entries[index - 1]?.hash === entry.previousHash;
  });
}

/** A sale whose answer is lost for good. */
async function doubtfulSale(): Promise<{ reference: string; code: string }> {
  const bolt11 = await machine.sell(4_000);
  machine.dispenser.control({ do: 'fault', name: 'powerCutBeforeResponse' });
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  const { reference, claimCode } = machine.cashOut;
  machine.dispenser.control({ do: 'power', on: true });
  return { reference: reference ?? '', code: claimCode ?? '' };
}

test('a dispense in doubt: frames, counters, neighbours, and a chain that proves itself', async () => {
  await begin({ dispenser: { memory: 'lost' } });
  await machine.deposit(20);
  await machine.act({ do: 'dismiss' });
  await machine.leave();
  const { reference, code } = await doubtfulSale();
  await machine.leave();
  const { bundle, text } = await bundleOf(reference.toLowerCase());

  expect(bundle.journal).toMatchObject({ complete: true, chain: 'ok' });
  expect(isWhole(bundle.journal)).toBe(true);
  const { entries } = bundle.journal;
  expect(entries.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['cashOut.reserved', 'dispense.intended', 'dispense.settled']),
  );
  // One character of one entry is enough to be seen.
  const changed = entries.map((one) =>
    one.kind === 'dispense.intended' ? { ...one, body: { ...one.body, ordinal: 2 } } : one,
  );
  expect(isWhole({ ...bundle.journal, entries: changed })).toBe(false);
  expect(isWhole({ ...bundle.journal, entries: entries.toSpliced(2, 1) })).toBe(false);

  const recorded = entries.find(({ kind }) => kind === 'device.recorded')?.body;
  const chunks = JSON.stringify(recorded?.chunks);
  expect(recorded?.device).toBe('dispenser');
  // The command itself: two 20s of bay 1, after which nothing came back.
  const sent = JSON.parse(chunks).filter(({ direction }: { direction: string }) => {
    return direction === 'out';
  });
  expect(sent.length).toBeGreaterThan(1);
  expect(JSON.parse(chunks).length).toBeLessThanOrEqual(256);

  expect(bundle.transaction).toMatchObject({ kind: 'cashOut', reference, fiatMinor: 4_000 });
  expect(bundle.neighbours).toMatchObject({ before: { kind: 'cashIn' }, after: null });
  expect(bundle.devices.before).toMatchObject([{ act: 'dispense' }]);
  expect(bundle.devices.now).toMatchObject([{ device: 'validator' }, { device: 'dispenser' }]);
  expect(bundle.obligations).toMatchObject([
    { kind: 'dispenseUnknown', reference, partialDispense: null, settled: null },
  ]);
  expect(bundle.obligations[0]?.acts).toMatchObject([
    { kind: 'reservation' },
    { kind: 'payment', outcome: 'paid' },
    { kind: 'dispense', outcome: 'unknown' },
  ]);
  expect(code).not.toBe('');
  for (const word of [code, code.toUpperCase()]) expect(text).not.toContain(word);
});

test('what came out stands beside what was there before and after, also later', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  machine.keeper.pay(bolt11);
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  const reference = machine.cashOut.reference ?? '';
  await machine.leave();
  const counters = async () => (await bundleOf(reference)).bundle.notes.counters;
  const first = await counters();
  const bays = first.filter(({ account }) => account.startsWith('bay:'));
  expect(bays.reduce((sum, { before, after }) => sum + before - after, 0)).toBe(2);
  expect(bays.every(({ before }) => before === 10)).toBe(true);
  // What the next customer takes changes nothing of it.
  machine.keeper.pay(await machine.sell(4_000));
  await machine.leave();
  await machine.deposit(20);
  await machine.act({ do: 'dismiss' });
  await machine.leave();
  expect(await counters()).toEqual(first);
  const { bundle } = await bundleOf(reference);
  expect(bundle.neighbours).toMatchObject({ before: null, after: { kind: 'cashOut' } });
  expect(bundle.notes.moved).toHaveLength(bays.length);
  expect(await machine.running.service.dispute('0000-0000')).toBeUndefined();
});

test('no secret of a cash-in is in it, while it is one and afterwards', async () => {
  await begin();
  const lnurl = await machine.deposit(20, 50);
  const { reference, claimCode } = machine.cashIn;
  const decoded = bech32.decode(lnurl.toLowerCase() as `lnurl1${string}`, 1_024);
  const url = new TextDecoder().decode(Uint8Array.from(bech32.fromWords(decoded.words)));
  const k1 = url.split('/').at(-1) ?? '';
  const secrets = [lnurl, claimCode ?? '', ...(claimCode ?? '').split(' '), url, k1];
  const folder = machine.config.paths.state;
  const { store } = machine.running;
  const stored = store.secrets.get(store.transactions.recent(1)[0]?.id as never, 'claimCode');
  expect(stored?.reveal()).toBe(claimCode);
  expect(Math.min(...secrets.map(({ length }) => length))).toBeGreaterThan(2);
  const look = async () => {
    const { text, bundle } = await bundleOf(reference ?? '');
    for (const secret of secrets.slice(0, 2).concat(url, k1)) {
      expect(text.toLowerCase()).not.toContain(secret.toLowerCase());
    }
    expect(text).not.toContain(folder);
    expect(isWhole(bundle.journal)).toBe(true);
    return bundle;
  };
  const shown = await look();
  expect(shown.notes.counters).toContainEqual({
    ...{ account: 'cashbox', currency: 'USD', valueMinor: 5_000 },
    ...{ before: 0, after: 1 },
  });
  expect(machine.keeper.claim(lnurl)).toMatchObject({ ok: true });
  await machine.until(({ session }) => session?.outcome?.code === 'claimed', 'claimed');
  await look();
});

test('no preimage and no key of a cash-out is in it', async () => {
  await begin();
  const bolt11 = await machine.sell(4_000);
  machine.keeper.pay(bolt11);
  const code = machine.cashOut.claimCode ?? '';
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  const { text, bundle } = await bundleOf(machine.cashOut.reference ?? '');
  const hash = bundle.transaction.paymentHash ?? '';
  expect(hash).toHaveLength(64);
  // Whatever hashes to the payment hash is the preimage: no 64 digits of the bundle do.
  for (const [digits] of text.matchAll(/[0-9a-f]{64}/g)) {
    const hashed = createHash('sha256').update(Buffer.from(digits, 'hex')).digest('hex');
    expect(hashed).not.toBe(hash);
  }
  expect(text).not.toContain(code);
  expect(text).not.toContain(bolt11);
  // The keys of the machine: that of its pairing, and the one under which it seals.
  const { state } = machine.config.paths;
  const isFile = (name: string) => statSync(join(state, name)).isFile() && !/sqlite/.test(name);
  const files = readdirSync(state).filter(isFile);
  const kept = files.map((name) => readFileSync(join(state, name), 'utf8')).join('\n');
  const open = [bundle.spirePubkey, machine.keeper.operatorPubkey, machine.keeper.transportPubkey];
  const keys = [...new Set(kept.match(/[0-9a-f]{64}/g))].filter((key) => !open.includes(key));
  expect(keys.length).toBeGreaterThanOrEqual(2);
  for (const key of keys) expect(text).not.toContain(key);
  expect(text).not.toMatch(/nsec|preimage|secretKey|claimHash/i);
});

test('a bundle that would hold a bearer value is not given out', async () => {
  await begin();
  await machine.deposit(20);
  const { claimCode, reference } = machine.cashIn;
  const { store, service } = machine.running;
  const id = store.transactions.recent(1)[0]?.id;
  store.commit(() => store.journal.append('careless', { code: claimCode ?? '' }, id));
  // The search at the end would find it, and rightly.
  machine.isLeaky = true;
  await expect(machine.clock.resolve(service.dispute(reference ?? ''))).rejects.toThrow(
    /bearer value/,
  );
});

test('a proven shortfall shows what the form of the operator takes', async () => {
  await begin();
  const bolt11 = await machine.sell(7_000);
  // The first bay gives its note, then nothing can be picked any more.
  machine.keeper.pay(bolt11);
  machine.dispenser.control({ do: 'fault', name: 'pickUpFailure', times: 100 });
  await machine.untilCashOut(({ outcome }) => outcome !== null, 'the end');
  await machine.leave();
  const { service, store } = machine.running;
  const [owed] = service.obligations();
  const sale = store.transactions.recent(1)[0];
  const handedOut = 7_000 - (owed?.amountMinor ?? 0);
  expect(owed).toMatchObject({
    kind: 'remainder',
    ageMs: expect.any(Number),
    partialDispense: {
      dispensed_sats: Math.floor(((sale?.wireSats ?? 0) * handedOut) / 7_000),
      dispensed_fraction: handedOut / 7_000,
    },
  });
  expect(owed?.acts.at(-1)).toMatchObject({ kind: 'dispense' });
  const by = { by: 'Ana', reason: 'paid in cash' };
  expect(service.settle({ ...by, obligationId: owed?.id as never })).toBe('settled');
  expect(service.obligations()).toEqual([]);
  const name = owed?.reference;
  expect(service.obligations({ which: 'all', name: name?.toLowerCase() })).toMatchObject([
    { state: 'settled', settled: { by: 'Ana', reason: 'paid in cash' } },
  ]);
  expect(service.obligations({ which: 'all', name: 'NONE' })).toEqual([]);
});

test('a case with years around it: counts over every page, and its own entries alone', async () => {
  const parts = await testParts();
  const { store } = parts;
  const one = newTransaction();
  const value = minorUnits(2_000);
  const move = { to: 'cashbox', currency: 'USD', value, count: 1, cause: 'deposit' } as const;
  store.commit(() => {
    store.transactions.insert(one);
    store.journal.append('note.deposited', {}, one.id);
    store.ledger.move({ ...move, from: 'customer', transactionId: one.id });
    for (let index = 0; index < 2_100; index++) {
      store.journal.append('agent.started', {});
      store.ledger.move({ ...move, from: 'customer' });
    }
  });
  const sources = { parts, spirePubkey: 'ab'.repeat(32), devices: async () => [] };
  const short = await dispute(sources, one.id);
  expect(short?.journal).toMatchObject({ complete: true, entries: [{ transactionId: one.id }] });
  expect(short?.notes.counters).toMatchObject([
    { account: 'cashbox', before: 0, after: 1 },
    { account: 'customer', before: 0, after: -1 },
  ]);
  store.commit(() => store.journal.append('claim.paid', {}, one.id));
  const long = await dispute(sources, one.id);
  expect(long?.journal.complete).toBe(false);
  expect(long?.journal.entries.map(({ kind }) => kind)).toEqual(['note.deposited', 'claim.paid']);
});

test('what happened between two entries of a case is in its bundle, whoever it was', async () => {
  const parts = await testParts();
  const one = newTransaction();
  parts.store.commit(() => {
    parts.store.transactions.insert(one);
    parts.store.journal.append('note.deposited', {}, one.id);
    parts.store.journal.append('disk.works', {});
    parts.store.journal.append('claim.paid', {}, one.id);
  });
  const sources = { parts, spirePubkey: 'ab'.repeat(32), devices: async () => [] };
  const bundle = await dispute(sources, one.id);
  expect(bundle?.journal.entries.map(({ transactionId }) => transactionId)).toEqual([
    ...[one.id, null, one.id],
  ]);
});
