import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { SignedEvent } from '#protocol/event.ts';
import type { NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { startKeeper } from '#protocol/simulator/keeper.ts';
import { startMemoryBunker } from '#protocol/simulator/memory-bunker.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Keys, signatures and encryption that cost nothing and prove nothing. */
const stub: NostrCrypto = {
  publicKeyOf: hex,
  sign: (secretKey, template) => {
    const unsigned = { ...template, pubkey: hex(secretKey) };
    const id = createHash('sha256').update(JSON.stringify(unsigned)).digest('hex');
    return { ...unsigned, id, sig: '' };
  },
  verify: () => true,
  encrypt: (_secretKey, peer, plaintext) => `${peer}:${plaintext}`,
  decrypt: (secretKey, _peer, payload) => {
    const prefix = `${hex(secretKey)}:`;
    if (!payload.startsWith(prefix)) throw new Error('for another key');
    return payload.slice(prefix.length);
  },
};

it('runs bunker and wallet with stubbed keys, on virtual time alone', async () => {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: stub.verify });
  const [spire, client, transport, operator, node] = ['11', '22', '33', '44', '55'].map(
    (byte) => new Uint8Array(Buffer.from(byte.repeat(32), 'hex')),
  );
  if (!spire || !client || !transport || !operator || !node) throw new Error('five keys');
  const common = { clock, random: systemRandom, crypto: stub, log: silentLog };
  const bunker = startMemoryBunker({ ...common, relays: network.client(), secretKey: spire });
  const keeper = startKeeper({
    ...common,
    relays: network.client(),
    invoices: createInvoiceMaker(node),
    spirePubkey: bunker.pubkey,
    keys: { transport, operator },
    lnurlBase: 'https://wallet.example',
  });
  keeper.fund(1_000_000);
  bunker.policy.redeem(hex(client), bunker.policy.mintToken());

  const machine = network.client();
  const answers: SignedEvent[] = [];
  const listener = { event: (event: SignedEvent) => answers.push(event) };
  machine.subscribe({ '#p': [hex(client)] }, listener);
  machine.subscribe({ kinds: [21000], '#p': [bunker.pubkey] }, listener);
  const created_at = Math.floor(clock.now() / 1000);
  const call = { rpc_name: 'create_withdraw', body: { principal_sats: 82_386 } };
  const template = {
    kind: 21000,
    created_at,
    tags: [['p', keeper.transportPubkey]],
    content: stub.encrypt(spire, keeper.transportPubkey, JSON.stringify(call)),
  };
  const request = { id: 'r', method: 'sign_event', params: [JSON.stringify(template)] };
  const asked = stub.sign(client, {
    kind: 24133,
    created_at,
    tags: [['p', bunker.pubkey]],
    content: stub.encrypt(client, bunker.pubkey, JSON.stringify(request)),
  });
  void machine.publish(asked);
  await clock.until(() => answers.length === 1);
  const reply = JSON.parse(stub.decrypt(client, bunker.pubkey, answers[0]?.content ?? ''));
  void machine.publish(JSON.parse(reply.result));
  await clock.until(() => answers.length === 2);
  expect(keeper.books().withdrawLinks).toMatchObject([{ netSats: 75_795 }]);
  // Four hops of 10 ms for each of the two round trips, and nothing else passed on the clock.
  expect(clock.monotonic()).toBe(80);
});
