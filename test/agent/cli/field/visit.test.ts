/** The field visit as it is: the real prompts in a pseudo-terminal, and a real agent. */
import { expect, test } from 'vitest';
import { FieldMachine } from './field-machine.ts';
import { Person, ptyWire } from './person.ts';

const PIN = '482915';

test('a whole refill', async () => {
  await using machine = await FieldMachine.inService();
  const invite = await machine.invite('Ana');
  const person = new Person(ptyWire(['service', '--invite', '--socket', machine.socketPath]));
  await person.type(/The invite/, invite);
  await person.type(/Choose a PIN/, PIN);
  await person.type(/The same PIN/, PIN);
  await person.choose(/What would you like/, /Refill/);
  await person.choose(/Bay 1 .*what do you do/, /Take all notes out/);
  machine.fill(1, 20, 500);
  await person.type(/Bay 1: take out all notes/, '60');
  await person.choose(/Bay 1: which notes/, /as before/);
  await person.type(/Bay 1: how many notes/, '500');
  await person.choose(/Bay 2 .*what do you do/, /Take all notes out/);
  await person.type(/Bay 2: take out all notes/, '400');
  await person.choose(/360 x 20 over/, /mistyped/);
  await person.type(/Bay 2: take out all notes/, '39');
  await person.choose(/1 x 20 short/, /Miscounted/);
  machine.fill(2, 50, 300);
  await person.type(/own words/, 'counted twice');
  await person.choose(/Bay 2: which notes/, /50 USD/);
  await person.type(/Bay 2: how many/, '300');
  await person.choose(/Cash box: what/, /sealed/);
  await person.type(/Cash box: number/, 'B-17');
  await person.choose(/Reject tray: what/, /Empty/);
  for (const face of [1, 5, 10, 20, 50, 100]) {
    await person.type(new RegExp(`Reject tray: how many notes of ${face} `), '');
  }
  await person.choose(/Reject tray: no notes/, /^.*Yes/);
  await person.choose(/Bay 1: test it/, /into the reject tray/);
  await person.choose(/Bay 2: test it/, /into the reject tray/);
  await person.choose(/Is all of this right/, /Yes: close it/);
  await person.see(/Closed\. Record 1 of this machine/);
  await person.choose(/What would you like/, /^.*Leave$/);
  expect(await person.ended()).toBe(0);
  expect(machine.truth().reject).toEqual({ 20: 1, 50: 1 });
  expect(person.widest).toBeLessThanOrEqual(80);
}, 120_000);
