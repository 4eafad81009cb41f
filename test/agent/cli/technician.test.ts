/** `spire technician`: who may open the machine. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inviteHash } from '#agent/exchange/technicians.ts';
import { readText } from '#protocol/documents/document.ts';
import { technicians } from '#protocol/documents/technicians.ts';
import { canonicalJson } from '#state/json.ts';
import { OpenMachine } from './field/open-machine.ts';
import { inProcess } from './process.ts';

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
});
afterEach(() => open[Symbol.asyncDispose]());

/** The machine's own clock goes on meanwhile, as fast as it can. */
const WAIT = { timeout: 20_000, interval: 5 };

const spire = (...words: string[]) => open.run('technician', ...words);

test('an invite is told once; who is invited is listed, shut out, deleted', async () => {
  expect((await spire('list')).out).toBe('Nobody was ever invited.\n');
  expect((await open.run('service', 'records')).out).toBe('');
  const made = await spire('invite', 'Ana López', '--permissions', 'counts, exchange');
  expect(made.code).toBe(0);
  expect(made.out).toMatch(/^Invite for Ana López, good once, until \S+ \S+Z\./);
  expect(made.out).toMatch(/^[0-9a-f]{64}$/m);
  expect((await spire('list')).out).toMatch(
    /^Ana López {2}invite, open\n {2}id .*\n {2}may {6}counts, exchange\n {2}good to /,
  );
  const day = await spire('invite', 'Luis', '--days', '1', '--json');
  const { invite } = JSON.parse(day.out);
  await open.machine.running.service.visit.redeem(invite, '482915');
  expect((await spire('list')).out).toMatch(/^Luis {2}active\n(.*\n){2} {2}seen .*\n {2}expires/);
  const why = ['--reason', 'phone lost'];
  expect((await spire('revoke', 'Ana López', ...why)).out).toBe(
    'The invite for Ana López is void.\n',
  );
  expect((await spire('revoke', 'luis', ...why)).out).toBe('Luis is shut out.\n');
  expect((await spire('revoke', 'Luis', ...why)).out).toContain('was ended before');
  expect((await spire('list')).out).toMatch(/ended +owner: phone lost/);
  expect((await spire('delete', 'Luis', ...why)).out).toBe('Luis is shut out and deleted.\n');
  expect((await spire('list', '--json')).out).toContain('"state": "deleted"');
});

test('what is refused, with the exit code that fits', async () => {
  const why = ['--reason', 'x'];
  expect((await spire('revoke', 'Nobody', ...why)).code).toBe(1);
  expect((await spire('revoke', 'Nobody')).code).toBe(2);
  expect((await spire('invite', 'Ana', '--permissions', 'dance')).code).toBe(2);
  expect((await spire('invite', 'Ana', '--days', '0')).code).toBe(2);
  expect((await spire('invite', '???')).code).toBe(2);
  await open.join('Ana');
  expect((await spire('invite', 'Ana')).code).toBe(75);
  expect((await spire('confirm', 'Ana', ...why)).out).toContain('Ana');
  const eva = { id: 'ab'.repeat(16), name: 'Eva', permissions: ['counts'], createdAtUnixMs: 1 };
  const pin = { salt: new Uint8Array(16), hash: new Uint8Array(32) };
  open.store.commit(() => open.store.technicians.insert(eva, pin));
  // She was never here, and may come for ever.
  expect((await spire('list')).out).toMatch(/^Eva {2}active\n {2}id .*\n {2}may {6}counts$/m);
});

test('a document for the operator is what a machine takes, its invites are told beside it', async () => {
  const { machine } = open;
  await open.join('Ana');
  const words = ['--revoke', 'Ana', '--delete', 'Bo', '--confirm', 'Cy', '--invite', 'Luis López'];
  // It asks no agent, so that there is no socket to name.
  const made = await inProcess(['technician', 'document', ...words, '--permissions', 'counts']);
  expect(made.code).toBe(0);
  const [, invite = ''] =
    /^Invite for Luis López, good once.*: ([0-9a-f]{64})$/m.exec(made.err) ?? [];
  expect(made.out).toBe(`${canonicalJson(JSON.parse(made.out))}\n`);
  expect(made.out).not.toContain(invite);
  expect(readText(technicians, made.out)).toMatchObject({
    kind: 'document',
    document: { revoked: ['Ana'], deleted: ['Bo'], confirmed: ['Cy'] },
  });
  const laterSec = Math.ceil(machine.clock.now() / 1_000) + 1;
  await machine.keeper.publishDocument('bitspire-technicians', JSON.parse(made.out), laterSec);
  await expect.poll(async () => (await spire('list')).out, WAIT).toMatch(/^Ana {2}revoked$/m);
  const joined = await machine.running.service.visit.redeem(invite, '482915');
  expect(joined.technician).toMatchObject({ name: 'Luis López', permissions: ['counts'] });
});

test('a document that a machine would refuse is not printed', async () => {
  const refused = await inProcess(['technician', 'document', '--invite', '???']);
  expect([refused.code, refused.out]).toEqual([2, '']);
  expect(refused.err).toContain('A machine would refuse this: invites.0.name is no name');
  const many = Array.from({ length: 51 }, (_, at) => ['--invite', `T${at}`]).flat();
  expect((await inProcess(['technician', 'document', ...many])).code).toBe(2);
  const json = await inProcess([
    'technician',
    'document',
    '--invite',
    'Luis',
    '--days',
    '2',
    '--json',
  ]);
  const { content, invites } = JSON.parse(json.out);
  const [one] = JSON.parse(content).invites;
  expect(one).toMatchObject({ hash: inviteHash(invites[0].invite), name: 'Luis' });
  expect(one.expires_at).toBeGreaterThan(1_700_000_000);
});
