/** What a technician does beside an exchange: the last record once more, and a debt that is settled. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { minorUnits } from '#protocol/base/money.ts';
import { OpenMachine } from './open-machine.ts';
import type { Person } from './person.ts';

// A person waits for what comes, however busy the computer is.
vi.setConfig({ testTimeout: 120_000 });

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
});
afterEach(() => open[Symbol.asyncDispose]());

async function leave(person: Person): Promise<void> {
  await person.choose(/What would you like/, /Leave/);
  expect(await person.ended()).toBe(0);
}

test('a line that was lost at the close takes nothing along: the record is shown again', async () => {
  await open.join('Ana');
  const first = await open.technician();
  const menu = await first.asked(/What would you like/);
  // Nobody was here before.
  expect(menu.join('\n')).not.toMatch(/record/);
  await first.choose(/What would you like/, /Refill/);
  for (const at of [1, 2, 3, 4]) await first.choose(new RegExp(`^Bay ${at} `), /Leave it/);
  await first.choose(/^Cash box/, /Leave it/);
  await first.choose(/^Reject tray/, /Leave it/);
  await first.asked(/Is all of this right/);
  first.press('\r');
  await expect.poll(() => open.store.visitRecords.head().number).toBe(1);
  first.hangUp();

  const [record] = open.store.visitRecords.list();
  const again = await open.technician();
  await again.choose(/What would you like/, new RegExp(`record 1 again: ${record?.reference}, 20`));
  await again.see(/^[◇●].*Record 1 of this machine, 20[\d-]+ \d\d:\d\dZ:/m);
  await again.see(/█▀▀▀▀▀█/);
  await again.see(new RegExp(`Hash ${record?.hash}`));
  await leave(again);
  expect(again.widest).toBeLessThanOrEqual(80);
});

test('a debt is settled by who may, in their name, after a look at what is known of it', async () => {
  await open.join('Ana');
  await open.join('Luis', ['exchange']);
  const ana = await open.technician();
  await ana.choose(/What would you like/, /Settle something/);
  await ana.see(/Nothing is owed, and nothing is unknown/);
  const { store } = open;
  const owed = { kind: 'dispenseUnknown', currency: 'USD', body: { evidence: 'none' } } as const;
  const { id } = store.commit(() => {
    const [one] = ['K7Q4-9XMB', 'K7Q4-9XMC'].map((reference) =>
      store.obligations.insert({
        ...owed,
        ...(reference.endsWith('B') ? { amountMinor: minorUnits(40_000) } : {}),
        reference: reference as never,
      }),
    );
    if (!one) throw new Error('nothing is owed');
    return one;
  });
  await ana.choose(/What would you like/, /Settle something/);
  await ana.choose(/What was settled by hand/, /K7Q4-9XMC: unknown, dispenseUnknown/);
  await ana.type(/What was found, or paid/, 'x');
  await ana.choose(/Settle K7Q4-9XMC\?/, /No, go on/);
  await ana.choose(/What would you like/, /Settle something/);
  await ana.choose(/What was settled by hand/, /K7Q4-9XMB: \$400\.00, dispenseUnknown/);
  await ana.see(/to do: Count the bays that are named/);
  await ana.type(/What was found, or paid/, '');
  await ana.see(/This cannot be empty/);
  await ana.retype('', 'found in the tray');
  await ana.choose(/Settle K7Q4-9XMB\?/, /Yes, it is settled/);
  await ana.see(/K7Q4-9XMB is settled\. Its code is void/);
  await ana.choose(/What would you like/, /Settle something/);
  await ana.choose(/What was settled by hand/, /No, go on/);
  await leave(ana);
  expect(ana.widest).toBeLessThanOrEqual(80);
  const settled = store.obligations.get(id);
  expect(settled).toMatchObject({ settledBy: 'Ana', settledReason: 'found in the tray' });

  const luis = await open.technician('Luis');
  const menu = await luis.asked(/What would you like/);
  expect(menu.join('\n')).not.toMatch(/Settle|totals|bag/);
  await leave(luis);
});

test('another verb says its refusals in the language that is asked for', async () => {
  const es = (...words: string[]) => open.run(...words, '--language', 'es');
  const none = await es('dispute', 'NOPE-0000');
  expect([none.code, none.err]).toEqual([
    ...[1, 'spire: En este cajero no hay ninguna transacción NOPE-0000.\n'],
  ]);
  const told = ['--by', 'Ana', '--reason', 'x'];
  const device = await es('service', 'accept-device', 'validator', ...told);
  expect([device.code, device.err]).toEqual([
    ...[1, 'spire: Ningún dispositivo espera eso (validator).\n'],
  ]);
  expect((await es('obligations')).out).toBe('No se debe nada, y no hay nada sin aclarar.\n');
  expect((await es('settle', 'NOPE', ...told)).err).toContain('No hay nada sin cerrar con NOPE');
  // For programs it is the same in every language.
  const program = await open.run('service', 'accept-anchor', ...told, '--json');
  expect(program.err).toContain('Nobody else works under this identity');
});
