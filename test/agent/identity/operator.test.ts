/** The operator's key changes: the last good documents stay, and nothing else is obeyed silently. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { KeptPairing } from '#agent/identity/operator.ts';
import { silentLog } from '#protocol/base/log.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

const told = { by: 'Ana', reason: 'the key moved into a bunker' };

const service = () => machine.running.service;
const feeOf = () => machine.view.cashIn.feeFraction;
const pairingOnDisk = () =>
  JSON.parse(readFileSync(join(machine.config.paths.state, 'pairing.json'), 'utf8')) as {
    operatorPubkey: string;
  };
const changes = () =>
  machine.running.store.journal.read({ kind: 'operator.changed' }).map(({ body }) => body);

/** The wallet's user gets another key; what he publishes is signed by it. */
function rotate(): { readonly before: string; readonly after: string } {
  const before = machine.keeper.operatorPubkey;
  return { before, after: machine.keeper.rotateOperatorKey() };
}

/** 1 % each for platform and operator, in both directions. */
const publishNewFees = () =>
  machine.clock.resolve(
    machine.keeper.publishDocument('bitspire-fees', {
      schema_version: 1,
      cash_in_fee_fraction: 0.02,
      cash_out_fee_fraction: 0.02,
    }),
  );

describe('a new operator key', () => {
  test('is not obeyed before it is set, and then from a clean watermark', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const { before, after } = rotate();
    await publishNewFees();
    await machine.clock.advance(10_000);
    expect(feeOf()).toBe(0.08);

    expect(service().setOperator({ operator: npubOf(after), ...told })).toEqual({
      outcome: 'set',
      operatorPubkey: after,
    });
    await machine.clock.until(() => feeOf() === 0.02, 30_000);
    expect(service().status().operatorPubkey).toBe(after);
    expect(pairingOnDisk().operatorPubkey).toBe(after);
    expect(changes()).toEqual([{ from: before, to: after, ...told }]);
  });

  test('leaves the last good documents in force, and the doctor says whose they are', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const { after } = rotate();
    service().setOperator({ operator: after, ...told });
    await machine.clock.advance(60_000);
    expect(machine.view.cashIn.open).toBe(true);
    expect(feeOf()).toBe(0.08);
    const { findings } = await machine.clock.resolve(service().doctor());
    const fees = findings.find(({ text }) => text.startsWith('bitspire-fees in force'));
    expect(fees).toMatchObject({ level: 'warning' });
    expect(fees?.text).toContain("an earlier operator's key");
  });

  test('gets every document of ours again, encrypted to it', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const names = ['bitspire-cassettes-state', 'bitspire-obligations'];
    const have = () => names.filter((name) => machine.keeper.received(name) !== undefined);
    await machine.clock.until(() => have().length === names.length, 60_000);
    const { after } = rotate();
    expect(have()).toEqual([]);
    service().setOperator({ operator: after, ...told });
    await machine.clock.until(() => have().length === names.length, 60_000);
    for (const name of names) {
      expect(machine.keeper.received(name)?.event.tags).toContainEqual(['p', after]);
    }
  });

  test('stays over a restart; the old key is not heard any more', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const { after } = rotate();
    await publishNewFees();
    service().setOperator({ operator: after, ...told });
    await machine.clock.until(() => feeOf() === 0.02, 30_000);
    await machine.clock.resolve(machine.running.stop());
    machine.start();
    await machine.until(({ state }) => state === 'idle', 'in service again');
    expect(feeOf()).toBe(0.02);
    expect(service().status().operatorPubkey).toBe(after);
    expect(changes()).toHaveLength(1);
  });

  test('an operator who comes back starts clean too: his head applies again', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const first = machine.keeper.operatorPubkey;
    const { after } = rotate();
    await publishNewFees();
    service().setOperator({ operator: after, ...told });
    await machine.clock.until(() => feeOf() === 0.02, 30_000);
    service().setOperator({ operator: first, ...told });
    await machine.clock.until(() => feeOf() === 0.08, 30_000);
    expect(changes()).toHaveLength(2);
  });

  test('the one that is set already changes nothing', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const operator = machine.keeper.operatorPubkey;
    const entries = machine.running.store.journal.count();
    expect(service().setOperator({ operator, ...told }).outcome).toBe('unchanged');
    expect(machine.running.store.journal.count()).toBe(entries);
  });

  test('our own key, the wallet server’s, or no key at all is refused', async () => {
    machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
    const { spirePubkey, operatorPubkey } = service().status();
    for (const operator of [
      spirePubkey,
      machine.keeper.transportPubkey,
      'npub1x',
      '00'.repeat(32),
    ]) {
      expect(() => service().setOperator({ operator, ...told })).toThrow(/operator/);
    }
    expect(pairingOnDisk().operatorPubkey).toBe(operatorPubkey);
    expect(changes()).toEqual([]);
  });
});

test('who saves the relays of the bunker does not bring the old operator back', async () => {
  machine = new WholeMachine({ makeCrypto: cheapCrypto });
  await machine.pair();
  const path = join(machine.config.paths.state, 'pairing.json');
  const file = new PairingFile({ path, random: machine.random, log: silentLog });
  const pairing = file.load();
  if (!pairing) throw new Error('not paired');
  const kept = new KeptPairing(file, pairing);
  const operator = 'ab'.repeat(32);
  kept.saveOperator(operator);
  kept.saveRelays({ ...pairing, bunkerRelays: ['wss://other.example'] });
  expect(pairingOnDisk()).toMatchObject({
    operatorPubkey: operator,
    bunkerRelays: ['wss://other.example'],
  });
});

test('a pairing that names another operator is journaled at the next start', async () => {
  machine = await WholeMachine.inService({ makeCrypto: cheapCrypto });
  const { before, after } = rotate();
  await machine.clock.resolve(machine.running.stop());
  await machine.pair();
  machine.start();
  await machine.until(({ state }) => state === 'idle', 'in service again');
  expect(changes()).toEqual([{ from: before, to: after, by: 'pairing' }]);
  expect(feeOf()).toBe(0.08);
});
