/** The guided visit: what is asked, what is said, what can be put right, and what is booked. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OpenMachine, PIN } from './open-machine.ts';
import type { Person } from './person.ts';

// A person waits for what comes, however busy the computer is.
vi.setConfig({ testTimeout: 120_000 });

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
});
afterEach(() => open[Symbol.asyncDispose]());

const REFILL = /Refill the machine/;
const OUT = /Take all notes out/;
const LEAVE = /Leave it as it is/;

async function leaveBays(person: Person, ...positions: number[]): Promise<void> {
  for (const at of positions) await person.choose(new RegExp(`^Bay ${at} `), LEAVE);
}
async function leaveBoxes(person: Person): Promise<void> {
  await person.choose(/^Cash box: what/, LEAVE);
  await person.choose(/^Reject tray: what/, LEAVE);
}

describe('a visit from the invite to the record', () => {
  test('one bay counted with a mistyped count put right, one swapped, both boxes taken', async () => {
    const made = await open.run('technician', 'invite', 'Ana', '--json');
    const { invite } = JSON.parse(made.out);
    const person = open.person('--invite');
    await person.type(/The invite/, invite);
    await person.type(/Choose a PIN/, '123456');
    await person.type(/The same PIN/, '123457');
    await person.see(/The two are not the same/);
    await person.type(/Choose a PIN/, '123456');
    await person.type(/The same PIN/, '123456');
    await person.see(/A PIN has at least 6 digits, and is no row/);
    await person.type(/Choose a PIN/, PIN);
    await person.type(/The same PIN/, PIN);
    await person.see(/Welcome, Ana\./);
    await person.choose(/What would you like/, REFILL);
    await person.choose(/^Bay 1 \(notes of 20 USD\)/, OUT);
    await person.type(/Bay 1: take out all/, '100');
    await person.choose(/Bay 1: 90 x 20 over/, /I mistyped/);
    await person.type(/Bay 1: take out all/, 'ten');
    await person.see(/Type a whole number from 0 to 3000/);
    await person.retype('\u0015', '9');
    await person.choose(/Bay 1: 1 x 20 short\. Why/, /Another reason/);
    await person.type(/In your own words/, '');
    await person.see(/Say in your own words what happened/);
    await person.retype('', 'a torn note');
    await person.choose(/Bay 1: which notes/, /^.*20 USD, as before/);
    open.fill(1, 20, 200);
    await person.type(/Bay 1: how many notes of 20 USD/, '200');
    await person.see(/Bay 1: 200 notes of 20 USD, \$4,000\.00/);
    await leaveBays(person, 2);
    await person.choose(/^Bay 3 /, /Swap the cassette/);
    await person.type(/Bay 3: number of the seal/, 'no good');
    await person.see(/Up to 40 letters/);
    await person.retype('\u0015', 'C-3');
    await person.choose(/Bay 3: which notes/, /Others/);
    await person.type(/Bay 3: face value/, '50');
    open.fill(3, 50, 30);
    await person.type(/Bay 3: how many/, '30');
    await leaveBays(person, 4);
    await person.choose(/^Cash box: what/, /Take it along sealed/);
    await person.type(/Cash box: number/, 'C-3');
    await person.see(/Seal C-3 is on another bag/);
    await person.type(/Cash box: number/, 'B-1');
    await person.choose(/^Reject tray: what/, LEAVE);
    await person.choose(/Bay 1: test it/, /into the reject tray/);
    await person.see(/The dispenser is at work/);
    await person.choose(/Bay 3: test it/, /No test/);
    await person.see(/│ +Bay 1 +9 x 20 +-1 +200 x 20 +\$4,000\.00 +good/);
    await person.see(/│ +Bay 3 +seal C-3 +30 x 50 +\$1,500\.00 +none/);
    await person.see(/│ +Cash box +seal B-1/);
    await person.choose(/Is all of this right/, /Yes: close it/);
    await person.see(/Closed\. Record 1 of this machine/);
    await person.choose(/What would you like/, /Leave/);
    expect(await person.ended()).toBe(0);
    const [record] = open.store.visitRecords.list(0, 1);
    expect(person.text).toContain(record?.hash);
    expect(open.counts()).toContain('bay:1 20: 199');
    expect(open.counts()).toContain('bag:C-3 50: 10');
    expect(person.widest).toBeLessThanOrEqual(80);
  });
});

describe('putting it right', () => {
  test('every answer can be taken back, by a choice or by a letter, and the exchange given up', async () => {
    await open.join('Ana');
    const person = await open.technician();
    await person.choose(/What would you like/, REFILL);
    await leaveBays(person, 1);
    await person.choose(/^Bay 2 /, /Take back the last answer/);
    await person.choose(/^Bay 1 /, OUT);
    await person.type(/Bay 1: take out all/, 'u');
    await person.choose(/^Bay 1 /, /Swap the cassette/);
    await person.type(/number of the seal/, '');
    await person.choose(/^Bay 1 /, OUT);
    await person.type(/Bay 1: take out all/, '10');
    await person.choose(/Bay 1: which notes/, /Others/);
    await person.type(/face value/, '0');
    await person.see(/Type a whole number from 0 to 1000000/);
    await person.retype('\u0015', '7');
    await person.see(/cannot hold notes of 7 in bay 1|Bay 1: how many notes of 7/);
    await person.type(/Bay 1: how many|Bay 1: which|Bay 1: face/, 'a');
    await person.choose(/Give exchange \S+ up\?/, /No, go on/);
    await person.type(/Bay 1: how many/, 'a');
    await person.choose(/Give exchange \S+ up\?/, /Yes, give it up/);
    await person.type(/Why is it given up/, 'rain');
    await person.see(/Given up\. Record 1/);
    await person.choose(/What would you like/, /Leave/);
    expect(await person.ended()).toBe(0);
    expect(open.store.cashUnits.list()[0]?.accuracy).toBe('unknown');
  });

  test('boxes are counted note by note, other notes too, and looked at as a whole', async () => {
    await open.join('Ana');
    const person = await open.technician();
    await person.choose(/What would you like/, REFILL);
    await leaveBays(person, 1, 2, 3, 4);
    await person.choose(/^Cash box: what/, /Empty it/);
    await person.type(/Cash box: how many notes of 1 USD/, 'u');
    await person.choose(/^Cash box: what/, /Empty it/);
    await person.type(/Cash box: how many notes of 1 USD/, '4');
    await person.type(/Cash box: how many notes of 5 USD/, 'u');
    await person.type(/Cash box: how many notes of 1 USD/, '3');
    for (const face of [5, 10, 20, 50, 100]) {
      await person.type(new RegExp(`notes of ${face} USD`), '');
    }
    await person.choose(/Cash box: 3 x 1\. Is that right/, /count again/);
    for (const face of [1, 5, 10, 20, 50, 100]) {
      await person.type(new RegExp(`notes of ${face} USD`), '');
    }
    await person.choose(/Cash box: no notes\. Is that right/, /other notes/);
    await person.type(/Face value of the other/, '2');
    await person.type(/notes of 2 USD/, '6');
    await person.choose(/Cash box: 6 x 2\. Is that right/, /^.*Yes/);
    await person.choose(/Cash box: 6 x 2 over/, /Nobody knows/);
    await person.type(/In your own words/, '');
    await person.choose(/^Reject tray: what/, /Empty it/);
    await person.type(/Reject tray: how many notes of 1 USD/, 'a');
    await person.choose(/Give exchange/, /No, go on/);
    await person.type(/Reject tray: how many notes of 1 USD/, 'u');
    await person.choose(/^Reject tray: what/, LEAVE);
    await person.see(/│ +Cash box +6 x 2; over\/short: \+6/);
    await person.choose(/Is all of this right/, /Give the exchange up/);
    await person.choose(/Give exchange/, /No, go on/);
    await person.choose(/Is all of this right/, /Yes: close it/);
    await person.choose(/What would you like/, /sealed bag/);
    await person.see(/No bag waits to be counted/);
    await person.choose(/What would you like/, /totals/);
    await person.see(/Bay 1: 10 x 20, \$200\.00/);
    await person.choose(/What would you like/, /Leave/);
    expect(await person.ended()).toBe(0);
  });
});

describe('what may come between', () => {
  test('a wrong PIN is told with the tries that are left; five lock the name', async () => {
    await open.join('Ana');
    const person = open.person();
    for (const left of [4, 3, 2, 1, 0]) {
      await person.type(/Your name/, 'Ana');
      await person.type(/Your PIN/, '111222');
      await person.see(new RegExp(`${left} tries are left`));
    }
    await person.type(/Your name/, 'Ana');
    await person.type(/Your PIN/, PIN);
    expect(await person.ended()).toBe(75);
    expect(person.text).toMatch(/Too many wrong tries\. Wait \d+ min/);
  });

  test('an invite that was used, and a name that is empty', async () => {
    const { out } = await open.run('technician', 'invite', 'Ana', '--json');
    const { invite } = JSON.parse(out);
    const enter = async () => {
      const person = open.person('--invite');
      await person.type(/The invite/, '');
      await person.see(/This cannot be empty/);
      await person.retype('', invite);
      await person.type(/Choose a PIN/, PIN);
      await person.type(/The same PIN/, PIN);
      return person;
    };
    const first = await enter();
    await first.asked(/What would you like/);
    first.press('\u0003');
    expect(await first.ended()).toBe(0);
    const second = await enter();
    expect(await second.ended()).toBe(77);
    expect(second.text).toContain('This invite was used already.');
  });

  test('Ctrl-C leaves all as it is; another one goes on, and only one of two answers', async () => {
    await open.join('Ana');
    await open.join('Luis');
    const ana = await open.technician();
    await ana.choose(/What would you like/, REFILL);
    await leaveBays(ana, 1);
    await ana.asked(/^Bay 2 /);
    const luis = await open.technician('Luis');
    await luis.choose(/What would you like/, /Go on with exchange/);
    await luis.see(/begun by Ana: it goes on where it stands/);
    await leaveBays(luis, 2);
    await luis.asked(/^Bay 3 /);
    await ana.choose(/^Bay 2 /, OUT);
    await ana.see(/answered from elsewhere/);
    await ana.asked(/^Bay 3 /);
    ana.press('\u0003');
    expect(await ana.ended()).toBe(75);
    expect(ana.text).toMatch(/exchange \S+ stays open\. To go on/);
    await leaveBays(luis, 3, 4);
    await leaveBoxes(luis);
    await luis.choose(/Is all of this right/, /Yes: close it/);
    await luis.choose(/What would you like/, /Leave/);
    expect(await luis.ended()).toBe(0);
  });

  test('an exchange that somebody else has ended is over for both', async () => {
    await open.join('Ana');
    await open.join('Luis');
    const ana = await open.technician();
    await ana.choose(/What would you like/, REFILL);
    await ana.asked(/^Bay 1 /);
    const luis = await open.technician('Luis');
    await luis.choose(/What would you like/, /Go on with exchange/);
    await luis.choose(/^Bay 1 /, /Give the exchange up/);
    await luis.choose(/Give exchange/, /Yes, give it up/);
    await luis.type(/Why is it given up/, 'rain');
    await luis.see(/Given up/);
    await ana.choose(/^Bay 1 /, LEAVE);
    await ana.choose(/What would you like/, /Leave/);
    expect(await ana.ended()).toBe(0);
  });

  test('a customer is served to the end first', async () => {
    await open.join('Ana');
    await open.machine.act({ do: 'startCashIn' });
    const person = await open.technician();
    await person.choose(/What would you like/, REFILL);
    await person.see(/A customer is still being served/);
    const { machine } = open;
    await expect.poll(() => machine.view.session?.phase).toBe('inserting');
    expect(await machine.act({ do: 'cancel' })).toMatchObject({ ok: true });
    await expect.poll(() => machine.view.session?.phase).toBe('ended');
    await machine.act({ do: 'dismiss' });
    await person.asked(/^Bay 1 /);
    person.press('\u0003');
    expect(await person.ended()).toBe(75);
  });

  test('permissions: neither boxes nor tests, and a bag is for who may collect', async () => {
    await open.join('Luis', ['exchange']);
    const person = await open.technician('Luis');
    const menu = await person.asked(/What would you like/);
    expect(menu.join('\n')).not.toMatch(/totals|bag/);
    await person.choose(/What would you like/, REFILL);
    await person.choose(/^Bay 1 /, OUT);
    await person.type(/Bay 1: take out all/, '10');
    await person.choose(/Bay 1: which notes/, /as before/);
    await person.type(/Bay 1: how many/, '10');
    await leaveBays(person, 2, 3, 4);
    const test = await person.asked(/Bay 1: test it/);
    expect(test.join('\n')).not.toMatch(/Yes, one note/);
    await person.choose(/Bay 1: test it/, /No test/);
    await person.asked(/Is all of this right/);
    expect(person.text).not.toMatch(/Cash box: what/);
    person.press('\u0003');
    expect(await person.ended()).toBe(75);
  });

  test('a sealed bag is counted later; over or short asks why', async () => {
    await open.join('Ana');
    const person = await open.technician();
    await person.choose(/What would you like/, /sealed bag/);
    await person.see(/No bag waits/);
    await person.choose(/What would you like/, REFILL);
    await person.choose(/^Bay 1 /, /Swap/);
    await person.type(/number of the seal/, 'C-1');
    await person.choose(/Bay 1: which notes/, /as before/);
    await person.type(/Bay 1: how many/, '0');
    await person.choose(/^Bay 2 /, /Swap/);
    await person.type(/number of the seal/, 'C-2');
    await person.choose(/Bay 2: which notes/, /as before/);
    await person.type(/Bay 2: how many/, '0');
    await leaveBays(person, 3, 4);
    await leaveBoxes(person);
    await person.choose(/Is all of this right/, /Yes: close it/);
    await person.choose(/What would you like/, /sealed bag/);
    await person.choose(/Which bag/, /C-1/);
    await person.type(/Bag C-1: how many notes of 20/, 'u');
    await person.choose(/What would you like/, /sealed bag/);
    await person.choose(/Which bag/, /C-1/);
    await person.type(/Bag C-1: how many notes of 20/, '10');
    await person.choose(/Bag C-1: 10 x 20\. Is that right/, /^.*Yes/);
    await person.see(/Bag C-1: all is there\. Record 2/);
    await person.choose(/What would you like/, /sealed bag/);
    await person.choose(/Which bag/, /C-2/);
    await person.type(/Bag C-2: how many notes of 20/, '8');
    await person.choose(/Bag C-2: 8 x 20\. Is that right/, /^.*Yes/);
    await person.choose(/over or short: a reason/, /taken/);
    await person.type(/In your own words/, 'gone');
    await person.see(/Bag C-2: 2 x 20 short\. Record 3/);
    await person.choose(/What would you like/, /Leave/);
    expect(await person.ended()).toBe(0);
  });

  test('a revoked technician is out at once', async () => {
    await open.join('Ana');
    const person = await open.technician();
    await person.choose(/What would you like/, REFILL);
    await person.asked(/^Bay 1 /);
    await open.run('technician', 'revoke', 'Ana', '--reason', 'phone lost');
    await person.choose(/^Bay 1 /, LEAVE);
    expect(await person.ended()).toBe(77);
    expect(person.text).toContain('Your access was revoked.');
  });
});

test('in Spanish, from the configuration or as asked', async () => {
  await open.join('Ana');
  const person = await open.technician('Ana', '--language', 'es');
  await person.see(/Bienvenido, Ana\./);
  await person.choose(/¿Qué desea hacer\?/, /Recargar el cajero/);
  await person.choose(/^Bandeja 1 \(billetes de 20 USD\): ¿qué va a hacer/, /Sacar todos/);
  await person.type(/¿Cuántos hay\?/, '12');
  await person.choose(/sobran 2 x 20\. ¿Por qué\?/, /Escribí mal/);
  await person.asked(/¿Cuántos hay\?/);
  person.press('\u0003');
  expect(await person.ended()).toBe(75);
  expect(person.text).toContain('No se pierde nada');
});

test('an agent that is away, or another one, is waited for, and the visit goes on', async () => {
  await open.join('Ana');
  const person = await open.technician();
  await person.choose(/What would you like/, REFILL);
  await leaveBays(person, 1);
  await person.asked(/^Bay 2 /);
  await open.cutPower();
  await person.choose(/^Bay 2 /, OUT);
  await person.see(/The agent does not answer/);
  await open.powerOn();
  await person.see(/The agent is there again/);
  await person.type(/Your PIN/, PIN);
  await person.choose(/^Bay 2 /, OUT);
  await person.asked(/Bay 2: take out all/);
  person.press('\u0003');
  expect(await person.ended()).toBe(75);
});
