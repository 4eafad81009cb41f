/** What the local API is told: status, journal, debts and documents of a whole machine. */
import { afterEach, expect, test } from 'vitest';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

test('the status says who it is, how it is, and where every note is', async () => {
  machine = await WholeMachine.inService();
  await machine.deposit(20, 50);
  const status = machine.running.service.status();
  expect(status).toMatchObject({
    spirePubkey: machine.bunker.pubkey,
    operatorPubkey: machine.keeper.operatorPubkey,
    walletId: machine.keeper.walletId,
    signer: { code: 'ok', text: 'ok' },
    acceptor: { code: 'ready', text: 'cash box ok' },
    dispenser: { code: 'ready', text: 'path clear' },
    openObligations: 0,
    journal: { chain: 'ok' },
  });
  expect(status.cashUnits).toContainEqual({
    position: 3,
    denomination: 50,
    count: 10,
    accuracy: 'set',
    parked: false,
    swapped: false,
  });
  expect(status.accounts).toContainEqual({ account: 'cashbox', denomination: 50, count: 1 });
  expect(status.journal.entries).toBe(machine.running.store.journal.count());
  // Neither the code nor the link of whoever stands there: a status goes into mails.
  expect(status.machine.session).toMatchObject({ kind: 'cashIn', claimCode: null, lnurl: null });
});

test('a device that is not there and a signer that refuses are in it by their own words', async () => {
  machine = await WholeMachine.inService();
  machine.dispenserCable.unplug();
  for (const client of machine.bunker.policy.clients()) machine.bunker.policy.revoke(client);
  await machine.until(
    (view) => view.cashIn.reasons.some(({ code }) => code === 'pairingRequired'),
    'the revocation is noticed',
  );
  const status = machine.running.service.status();
  expect(status.dispenser.code).toBe('offline');
  expect(status.signer.code).toBe('refused');
  expect(status.signer.text).not.toBe('');
});

test('the journal gives the newest entries, or those after a number, or one transaction', async () => {
  machine = await WholeMachine.inService();
  await machine.deposit(20);
  const { reference } = machine.cashIn;
  const { service, store } = machine.running;
  const all = store.journal.read({}).map(({ seq }) => seq);
  const seqs = (query: Parameters<typeof service.journal>[0]) =>
    service.journal(query).map(({ seq }) => seq);
  expect(seqs({ limit: 3 })).toEqual(all.slice(-3));
  expect(seqs({ limit: 10_000 })).toEqual(all);
  expect(seqs({ limit: 2, after: 4 })).toEqual([5, 6]);
  expect(seqs({ limit: 1, kind: 'agent.started' })).toHaveLength(1);
  expect(seqs({ limit: 5, kind: 'never.happened' })).toEqual([]);
  const [transaction] = store.transactions.recent(1);
  const named = service.journal({ limit: 100, transaction: reference?.toLowerCase() ?? '' });
  expect(named.map(({ kind }) => kind)).toContain('note.deposited');
  expect(new Set(named.map(({ transactionId }) => transactionId))).toEqual(
    new Set([transaction?.id]),
  );
  expect(service.journal({ limit: 100, transaction: transaction?.id ?? '' })).toEqual(named);
  expect(service.journal({ limit: 100, transaction: 'NOPE-NOPE' })).toEqual([]);
});

test('a debt is listed with its age, a document with its own', async () => {
  machine = await WholeMachine.inService();
  await machine.sell(70_00);
  machine.keeper.pay(machine.cashOut.bolt11 ?? '');
  await machine.clock.until(() => machine.kinds().includes('dispense.intended'), 60_000);
  machine.cutPower();
  await machine.clock.advance(60_000);
  await machine.powerOn();
  await machine.clock.until(() => machine.running.service.obligations().length > 0, 120_000);
  await machine.clock.advance(30_000);
  const [owed] = machine.running.service.obligations();
  expect(owed).toMatchObject({ state: 'open', currency: 'USD' });
  expect(owed?.ageMs).toBeGreaterThanOrEqual(30_000);
  expect(machine.running.service.status().openObligations).toBe(1);
  const documents = machine.running.service.documents();
  expect(documents.find(({ type }) => type === 'bitspire-cassettes')).toMatchObject({
    direction: 'in',
    refused: null,
    pending: false,
  });
});

test('what nobody knows yet is said as such', async () => {
  machine = new WholeMachine();
  await machine.pair();
  machine.start();
  const status = machine.running.service.status();
  expect(status).toMatchObject({
    clockOffsetMs: null,
    dispenser: { code: 'offline', text: 'path unknown' },
    machine: { state: 'recovering', session: null },
  });
});

test('a long journal is read from its end, and whole where it must be', async () => {
  machine = await WholeMachine.inService();
  const { service, store } = machine.running;
  const before = store.journal.count();
  store.commit(() => {
    for (let index = 0; index < 10_500; index += 1) store.journal.append('clock.alarm', { index });
  });
  const seqs = service.journal({ kind: 'clock.alarm', limit: 10_400 }).map(({ seq }) => seq);
  expect(seqs).toHaveLength(10_400);
  expect([seqs[0], seqs.at(-1)]).toEqual([before + 101, before + 10_500]);
  // What is older than all of them is still found.
  expect(service.journal({ kind: 'agent.started', limit: 5 })).toHaveLength(1);
  expect(service.status().journal).toMatchObject({ entries: before + 10_500, chain: 'ok' });
});
