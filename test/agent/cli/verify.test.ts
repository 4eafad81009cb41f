/** `spire verify`: what was signed is proven without the machine, and what was changed is not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { newFolder } from '#test/agent/api/harness.ts';
import { OpenMachine, PIN } from './field/open-machine.ts';
import { inProcess } from './process.ts';

const folder = newFolder();
function verify(text: string, ...words: string[]) {
  const file = join(folder, 'records.json');
  writeFileSync(file, text);
  return inProcess(['verify', file, ...words]);
}

test('records of two visits: whole; altered, out of order or of another machine they are not', async () => {
  await using open = await OpenMachine.inService({ makeCrypto: createNostrCrypto });
  await open.join('Ana');
  const file = join(folder, 'visit.json');
  writeFileSync(file, JSON.stringify({ name: 'Ana', pin: PIN }));
  for (let visits = 0; visits < 2; visits++) {
    expect((await open.run('service', '--json-file', file)).code).toBe(0);
  }
  await expect
    .poll(async () => (await open.run('service', 'records')).out, { timeout: 20_000 })
    .not.toContain('"queued"');
  const { out } = await open.run('service', 'records');
  const [first = '', second = ''] = out.trim().split('\n');
  const { pubkey } = open.machine.bunker;
  expect(await verify(out)).toEqual({
    code: 0,
    out: `Records 1 to 2 are whole, in order, and signed by ${pubkey}.\n`,
    err: '',
  });
  const one = await verify(second, '--spire', npubOf(pubkey), '--json');
  expect([one.code, JSON.parse(one.out)]).toEqual([
    0,
    { outcome: 'ok', records: 1, pubkey, from: 2, to: 2 },
  ]);
  expect((await verify(first)).out).toContain('Record 1 is whole');
  const tampered = await verify(second.replace('"USD"', '"EUR"'));
  expect([tampered.code, tampered.out]).toEqual([
    1,
    'NOT PROVEN (tampered): record 2 was changed after it was signed\n',
  ]);
  expect((await verify(`${second}\n${first}`)).out).toContain('(outOfOrder)');
  const other = npubOf(open.machine.keeper.operatorPubkey);
  expect((await verify(first, '--spire', other)).out).toContain('(wrongKey)');
  expect((await verify(first, '--spire', 'npub1')).code).toBe(78);
  expect((await inProcess(['verify', join(folder, 'absent')])).code).toBe(2);
});
