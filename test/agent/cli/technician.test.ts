/** `spire technician`: who may open the machine. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OpenMachine } from './field/open-machine.ts';

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
});
afterEach(() => open[Symbol.asyncDispose]());

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
});
