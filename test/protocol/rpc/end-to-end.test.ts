/** The wallet client and the documents over two real relays, against the wallet stand-in. */
import { afterEach, expect, test } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { sats } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import { cassettesStateDocument } from '#protocol/documents/cassettes-state.ts';
import { DocumentInbox, type InboxReport } from '#protocol/documents/inbox.ts';
import { DocumentPublisher } from '#protocol/documents/publisher.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import type { RpcAnswer } from '#protocol/rpc/rpc.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { SelfKeySigner } from '#protocol/signer/self-key-signer.ts';
import { startRelay } from '#protocol/simulator/relay.ts';
import { makeKeeper, makeWallet } from './keeper-rig.ts';
import { keyOf } from './rig.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function makeWorld() {
  const parts = { clock: systemClock, log: silentLog };
  const relays = await Promise.all([startRelay(parts), startRelay(parts)]);
  const urls = relays.map(({ url }) => url);
  const makePool = () => new RelayPool({ ...parts, random: systemRandom, urls });
  const [pool, keeperPool] = [makePool(), makePool()];
  const crypto = createNostrCrypto(systemRandom);
  const key = new Secret(keyOf('spire'));
  const signer = new SelfKeySigner({ key, clock: systemClock, crypto });
  const keeper = makeKeeper(systemClock, keeperPool, signer.pubkey);
  const { rpc, wallet } = makeWallet(systemClock, pool, signer, keeper);
  closing.push(async () => {
    keeper.stop();
    await Promise.all([rpc.close(), pool.close(), keeperPool.close()]);
    await Promise.all(relays.map((relay) => relay.stop()));
  });
  await keeper.listening;
  return { relays, pool, signer, keeper, rpc, wallet };
}

/** What comes to a listener, one after the other. */
function queueOf<T>() {
  const { promise, resolve } = Promise.withResolvers<T>();
  const waiting = [{ promise, resolve }];
  let told = 0;
  let taken = 0;
  const at = (index: number) => {
    while (waiting.length <= index) waiting.push(Promise.withResolvers<T>());
    return waiting[index] ?? { promise, resolve };
  };
  return { tell: (value: T) => at(told++).resolve(value), next: () => at(taken++).promise };
}

test('a cash-in and a cash-out, as the wallet sees them', async () => {
  const { keeper, rpc, wallet } = await makeWorld();
  keeper.fund(1_000_000);
  expect(await wallet.getWallet()).toEqual({
    kind: 'ok',
    value: { walletId: keeper.walletId, balanceSats: 1_000_000 },
  });
  const call = await wallet.prepareWithdraw(sats(82_386));
  const answers = queueOf<RpcAnswer>();
  const off = rpc.watch(call, answers.tell);
  const results = await rpc.publish(call);
  expect(results.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
  const link = wallet.readWithdraw(await answers.next());
  if (link.kind !== 'link') throw new Error(link.kind);
  expect(keeper.claim(link.lnurl)).toEqual({ ok: true, sats: 75_795 });
  off();
  const extra = { source: 'bitspire' };
  const request = { wireSats: sats(1_234), memo: 'm', expirySeconds: 180, extra };
  const made = await wallet.createInvoice(request);
  if (made.kind !== 'ok') throw new Error(made.kind);
  keeper.pay(made.value.bolt11, { internal: true });
  expect(await wallet.getPayment(made.value.paymentHash)).toMatchObject({
    kind: 'ok',
    value: { paid: true, preimage: '00'.repeat(32), amountSats: 1_234 },
  });
  expect(keeper.books().withdrawLinks).toHaveLength(1);
});

test('an answer in parts', async () => {
  const { keeper, wallet } = await makeWorld();
  const extra = { fill: 'x'.repeat(20_000) };
  for (let count = 0; count < 3; count++) {
    const request = { wireSats: sats(1 + count), memo: 'm', expirySeconds: 180, extra };
    expect((await wallet.createInvoice(request)).kind).toBe('ok');
  }
  const listed = await wallet.listPayments();
  if (listed.kind !== 'ok') throw new Error(listed.kind);
  expect(listed.value.map(({ amountSats }) => amountSats)).toEqual([3, 2, 1]);
  expect(keeper.books().invoices).toHaveLength(3);
});

test('documents in and out, also after an outage of both relays', async () => {
  const { relays, pool, signer, keeper } = await makeWorld();
  const parts = { relays: pool, signer, operatorPubkey: keeper.operatorPubkey };
  const world = { clock: systemClock, log: silentLog };
  const inbox = new DocumentInbox({ ...parts, ...world, watermarks: new Map() });
  const reports = queueOf<InboxReport>();
  closing.push(() => inbox.close());
  inbox.open(reports.tell);
  await keeper.publishFees();
  const legs = { kind: 'legs', platform: 0.03, operator: 0.05 };
  expect(await reports.next()).toMatchObject({
    kind: 'accepted',
    document: { type: 'fees', cashIn: legs, cashOut: legs },
  });
  await keeper.publishOldCassettes({ 20: { position: 1, count: 3 } });
  expect(await reports.next()).toMatchObject({ kind: 'refused', type: 'cassettes' });
  for (const relay of relays) await relay.suspend();
  for (const relay of relays) await relay.resume();
  await keeper.listening;
  const published = keeper.publishCassettes({ 1: { denomination: 20, count: 3 } });
  expect(await reports.next()).toMatchObject({
    kind: 'accepted',
    document: { bays: [{ position: 1, denomination: 20, count: 3 }] },
  });
  await published;
  const last = new Map<string, number>();
  const clocks = {
    last: (dTag: string) => last.get(dTag),
    advance: (dTag: string, createdAt: number) => void last.set(dTag, createdAt),
  };
  const publisher = new DocumentPublisher({ ...parts, ...world, clocks });
  for (const count of [1, 2]) {
    const document = cassettesStateDocument([{ position: 1, denomination: 20, count }]);
    expect(await publisher.publish(document)).toMatchObject({ kind: 'sent', landed: true });
  }
});
