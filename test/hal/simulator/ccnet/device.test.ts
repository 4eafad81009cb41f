/** The simulated device as other people's drivers see it: bytes, with ACKs and without. */
import { expect, test } from 'vitest';
import { encodeFrame } from '#hal/ccnet/wire.ts';
import { CcnetDevice, type CcnetDeviceOptions } from '#hal/simulator/ccnet/device.ts';
import { ccnetFaults } from '#hal/simulator/ccnet/faults.ts';
import { ccnetNotes, simulatedCcnet } from '#hal/simulator/ccnet/protocol.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const ALL = [0, 0, 0x7f];
const NONE = [0, 0, 0];
const STRICT: CcnetDeviceOptions = { strictAck: true, strictTiming: true };

/** A host that writes bytes and reads bytes, and knows nothing else. */
class Host {
  readonly clock = new VirtualClock();
  readonly device: CcnetDevice;
  readonly heard: string[] = [];

  constructor(options: CcnetDeviceOptions = {}) {
    this.device = new CcnetDevice({ clock: this.clock, options });
    this.device.connect((bytes) => this.heard.push(Buffer.from(bytes).toString('hex')));
  }

  /** Sends one command, and an ACK or none; gives the body of the first answer. */
  async say(body: readonly number[], acknowledges = false): Promise<string | undefined> {
    this.heard.length = 0;
    this.device.receive(encodeFrame(body));
    await this.clock.advance(20);
    const said = this.heard[0]?.slice(6, -4);
    if (acknowledges) await this.ack();
    return said;
  }

  async ack(): Promise<void> {
    this.device.receive(encodeFrame([0x00]));
    await this.clock.advance(20);
  }

  poll(): Promise<string | undefined> {
    return this.say([0x33], true);
  }

  /** A poll as drivers do that never acknowledge. */
  bare(): Promise<string | undefined> {
    return this.say([0x33]);
  }

  async ready(accept = ALL, escrow = ALL): Promise<this> {
    expect(await this.say([0x30])).toBe('00');
    await this.clock.advance(2000);
    expect(await this.say([0x34, ...accept, ...escrow])).toBe('00');
    expect(await this.poll()).toBe('14');
    return this;
  }

  async escrow(denomination: number): Promise<void> {
    this.insert(denomination);
    await this.clock.advance(1000);
  }

  insert(denomination: number): void {
    this.device.control({ do: 'insert', denomination });
  }

  fault(name: string, value?: number, times = 1): void {
    this.device.control({ do: 'fault', name, times, ...(value === undefined ? {} : { value }) });
  }
}

test('says POWER UP to every poll until RESET, but tells who it is', async () => {
  const host = new Host(STRICT);
  for (let count = 0; count < 3; count++) expect(await host.poll()).toBe('10');
  const identification = Buffer.from((await host.say([0x37], true)) ?? '', 'hex');
  expect(identification.subarray(0, 27).toString()).toBe('SM-US1234      123456789012');
  expect(identification).toHaveLength(34);
  const table = (await host.say([0x41], true)) ?? '';
  expect(table).toHaveLength(240);
  expect(table.slice(0, 70)).toBe(
    ['0155534100', '0255534100', '0555534100', '0155534101', '0255534101', '0555534101'].join('') +
      '0155534102',
  );
  expect(table.slice(70)).toBe('00'.repeat(85));
  expect(await host.say([0x31], true)).toBe('000000000000');
  expect(await host.say([0x51], true)).toHaveLength(8);
  expect(await host.poll()).toBe('10');
  expect(await host.say([0x30])).toBe('00');
  expect(await host.poll()).toBe('13');
  await host.clock.advance(2000);
  expect(await host.poll()).toBe('19');
  expect(host.device.violations()).toEqual([]);
});

test('accepts to the letter: 81 is said until its ACK, then rest', async () => {
  const host = await new Host(STRICT).ready();
  host.insert(20);
  expect(await host.poll()).toBe('15');
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('8004');
  expect(await host.say([0x35])).toBe('00');
  expect(await host.poll()).toBe('17');
  await host.clock.advance(1000);
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 } });
  for (let count = 0; count < 3; count++) expect(await host.bare()).toBe('8104');
  expect(await host.poll()).toBe('8104');
  expect(await host.poll()).toBe('14');
  expect(host.device.violations()).toEqual([]);
});

test('a host that never acknowledges is told each event once', async () => {
  const host = await new Host().ready();
  await host.escrow(5);
  expect(await host.bare()).toBe('8002');
  await host.say([0x35]);
  await host.clock.advance(1000);
  expect(await host.bare()).toBe('8102');
  expect(await host.bare()).toBe('14');
  await host.escrow(10);
  expect(await host.bare()).toBe('8003');
  expect(await host.say([0x36])).toBe('00');
  expect(await host.bare()).toBe('18');
  await host.clock.advance(1000);
  expect(await host.bare()).toBe('8203');
  expect(await host.bare()).toBe('14');
  expect(host.device.truth()).toMatchObject({ cashbox: { 5: 1 }, customer: { 10: 1 } });
  expect(host.device.violations()).toEqual([]);
});

test('to the letter, 82 and 1C are said until their ACK too', async () => {
  const host = await new Host({ strictAck: true }).ready([0, 0, 0x08], [0, 0, 0x08]);
  await host.escrow(10);
  await host.say([0x36]);
  await host.clock.advance(1000);
  for (let count = 0; count < 2; count++) expect(await host.bare()).toBe('8203');
  expect(await host.poll()).toBe('8203');
  expect(await host.poll()).toBe('14');
  await host.escrow(50);
  await host.clock.advance(2000);
  expect(await host.bare()).toBe('1c68');
  expect(await host.poll()).toBe('1c68');
  expect(await host.poll()).toBe('14');
  const unacknowledged = host.device.violations();
  expect(unacknowledged).toEqual([
    'an answer that begins with 82 got no ACK',
    'an answer that begins with 82 got no ACK',
    'an answer that begins with 1C got no ACK',
  ]);
});

test('a type that is enabled without escrow is stacked without stopping', async () => {
  const host = await new Host().ready(ALL, NONE);
  await host.escrow(20);
  expect(await host.poll()).toBe('17');
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('8104');
  expect(await host.poll()).toBe('14');
  expect(host.device.truth().cashbox).toEqual({ 20: 1 });
});

test('types 23 to 16 are in the first byte of a mask', async () => {
  const notes = [16, 9, 0].map((type) => ({ type, country: 'USA', value: type + 1, exponent: 0 }));
  const host = await new Host({ notes }).ready([0x01, 0, 0], [0x01, 0, 0]);
  await host.escrow(10);
  expect(await host.poll()).toBe('1c68');
  await host.clock.advance(1000);
  await host.escrow(17);
  expect(await host.poll()).toBe('8010');
  expect(await host.say([0x31])).toBe('010000000000');
});

test('IDENTIFICATION and GET BILL TABLE are illegal but in the states of the book', async () => {
  const host = await new Host().ready();
  for (const command of [0x37, 0x41, 0x51]) expect(await host.say([command])).toBe('30');
  host.insert(20);
  expect(await host.say([0x37])).toBe('30');
  await host.clock.advance(1000);
  expect(await host.say([0x41])).toBe('30');
  await host.say([0x36]);
  await host.clock.advance(2000);
  expect(await host.poll()).toBe('8204');
  expect(host.device.violations()).toHaveLength(5);
  expect(host.device.violations()[0]).toContain('only when disabled');
  await host.say([0x34, ...NONE, ...NONE]);
  for (const command of [0x37, 0x41, 0x51]) expect(await host.say([command])).not.toBe('30');
  host.fault('failure');
  expect(await host.poll()).toBe('4750');
  expect(await host.say([0x37])).not.toBe('30');
  expect(host.device.violations()).toHaveLength(5);
  const lax = await new Host({ identifiesAnytime: true }).ready();
  expect(await lax.say([0x37])).toHaveLength(68);
  expect(lax.device.violations()).toEqual([]);
});

test('NAK brings the last answer again; it and ACK are answered by nobody else', async () => {
  const host = await new Host().ready();
  await host.escrow(20);
  expect(await host.bare()).toBe('8004');
  for (let count = 0; count < 2; count++) expect(await host.say([0xff])).toBe('8004');
  expect(await host.say([0x00])).toBeUndefined();
  expect(await host.say([0xff])).toBeUndefined();
  expect(await host.say([0x00])).toBeUndefined();
  expect(host.device.violations()).toEqual(['NAK of nothing', 'ACK of nothing']);
});

test('a frame with a wrong checksum is answered by NAK, and noise by nothing', async () => {
  const host = new Host();
  const bad = Uint8Array.from(encodeFrame([0x33]), (byte, at) => (at === 5 ? byte ^ 1 : byte));
  host.device.receive(bad);
  await host.clock.advance(50);
  expect(host.heard.splice(0)).toEqual(['020306ffba8d']);
  host.device.receive(Uint8Array.of(1, 7, 9));
  host.device.receive(encodeFrame([0x33], 0x01));
  await host.clock.advance(50);
  expect(host.heard).toEqual([]);
  expect(host.device.violations()).toHaveLength(2);
});

test('the book wants the bus to rest after an ACK, and its ACK in time', async () => {
  const host = await new Host({ strictTiming: true, strictAck: true, ackWithinMs: 100 }).ready();
  host.device.receive(encodeFrame([0x33]));
  await host.clock.advance(10);
  host.heard.length = 0;
  host.device.receive(encodeFrame([0x00]));
  await host.clock.advance(9);
  host.device.receive(encodeFrame([0x33]));
  await host.clock.advance(20);
  expect(host.heard).toEqual([]);
  expect(host.device.violations()).toEqual(['command 33 while the bus had to rest']);
  await host.escrow(20);
  await host.say([0x35]);
  await host.clock.advance(1000);
  expect(await host.bare()).toBe('8104');
  await host.clock.advance(200);
  await host.ack();
  expect(await host.poll()).toBe('8104');
  expect(await host.poll()).toBe('14');
});

test('HOLD keeps the note; without it the device gives it back by itself', async () => {
  const host = await new Host({ timings: { escrowTimeoutMs: 5000, holdMs: 5000 } }).ready();
  await host.escrow(20);
  for (let round = 0; round < 4; round++) {
    expect(await host.say([0x38])).toBe('00');
    await host.clock.advance(3000);
    expect(await host.poll()).toBe('1a');
  }
  await host.clock.advance(3000);
  expect(await host.poll()).toBe('8204');
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
});

test('RESET at any time gives a note back that is not past escrow, and forgets the masks', async () => {
  const host = await new Host().ready();
  await host.say([0x32, 0, 0, 3]);
  expect(await host.say([0x31])).toBe('00007f000003');
  await host.escrow(20);
  expect(await host.say([0x30])).toBe('00');
  await host.clock.advance(2000);
  expect(await host.poll()).toBe('19');
  expect(await host.say([0x31])).toBe('000000000000');
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
  expect(host.device.violations()).toEqual([]);
});

test('switching off in mid-note is answered, written down, and that note is finished', async () => {
  const host = await new Host().ready();
  await host.escrow(20);
  expect(await host.say([0x34, ...NONE, ...NONE])).toBe('00');
  expect(await host.poll()).toBe('8004');
  await host.say([0x35]);
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('8104');
  expect(await host.poll()).toBe('19');
  expect(host.device.violations()).toEqual(['ENABLE BILL TYPES in state escrow']);
});

test('what is out of turn is refused and written down', async () => {
  const host = new Host();
  expect(await host.say([0x34, ...ALL, ...ALL])).toBe('30');
  await host.ready();
  for (const code of [0x35, 0x36, 0x38, 0x3c, 0x40, 0x60, 0x77]) {
    expect(await host.say([code])).toBe('30');
  }
  expect(await host.say([0x34, ...ALL])).toBe('30');
  host.device.receive(encodeFrame([0x33]));
  host.device.receive(encodeFrame([0x33]));
  await host.clock.advance(20);
  expect(host.device.violations()).toEqual([
    'command 34 in state powerUp: it must be reset first',
    'command 35 in state idling: no note is in escrow',
    'command 36 in state idling: no note is in escrow',
    'command 38 in state idling: no note is in escrow',
    'command 3C in state idling: dispense, of bill-to-bill units',
    'command 40 in state idling: set recycling cassette type, of bill-to-bill units',
    'command 60 in state idling: not known to this model',
    'command 77 in state idling: no such command',
    'command 34 in state idling: no such command',
    'command 33 before the last one was answered',
  ]);
  await host.escrow(20);
  await host.say([0x35]);
  expect(await host.say([0x35])).toBe('30');
  await host.clock.advance(1000);
  await host.bare();
  await host.say([0x30]);
  expect(host.device.violations().at(-1)).toContain('the credit is forgotten');
});

test.each([
  ['the credit is remembered', true],
  ['nothing is said of it', false],
] as const)(
  'power states tell where the note was, RESET takes it there, %s',
  async (_w, credits) => {
    const host = await new Host({ creditAfterPowerUpInStacker: credits }).ready();
    await host.escrow(20);
    host.device.control({ do: 'power', on: false });
    expect(await host.poll()).toBeUndefined();
    host.device.control({ do: 'power', on: true });
    expect(await host.poll()).toBe('11');
    await host.ready();
    await host.escrow(5);
    await host.say([0x35]);
    await host.clock.advance(300);
    host.device.control({ do: 'power', on: false });
    host.device.control({ do: 'power', on: true });
    expect(await host.poll()).toBe('12');
    expect(host.device.truth()).toMatchObject({ path: { 5: 1 }, customer: { 20: 1 } });
    await host.say([0x30]);
    await host.clock.advance(2000);
    expect(await host.poll()).toBe(credits ? '8102' : '19');
    expect(await host.poll()).toBe('19');
    expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 5: 1 } });
  },
);

test.each([
  ['powerCutAtStack', '11', { path: { 20: 1 } }],
  ['powerCutBeforeCredit', '12', { path: { 20: 1 } }],
  ['powerCutAfterCredit', '10', { cashbox: { 20: 1 } }],
] as const)('%s: %s afterwards', async (fault, code, truth) => {
  const host = await new Host().ready();
  await host.escrow(20);
  host.fault(fault);
  expect(await host.say([0x35])).toBe(fault === 'powerCutAtStack' ? undefined : '00');
  await host.clock.advance(1000);
  expect(await host.bare()).toBe(fault === 'powerCutAfterCredit' ? '8104' : undefined);
  expect(await host.bare()).toBeUndefined();
  host.device.control({ do: 'power', on: true });
  expect(await host.poll()).toBe(code);
  expect(host.device.truth()).toMatchObject(truth);
});

test.each([
  ['reject', 0x65, '1c65', { customer: { 20: 1 } }],
  ['jamValidator', undefined, '43', { path: { 20: 1 } }],
  ['escrowTimeout', 10, '8204', { customer: { 20: 1 } }],
] as const)('a note that is not stacked: %s', async (fault, value, code, truth) => {
  const host = await new Host().ready();
  host.fault(fault, value);
  await host.escrow(20);
  if (fault === 'escrowTimeout') await host.clock.advance(1000);
  expect(await host.poll()).toBe(code);
  await host.clock.advance(2000);
  expect(host.device.truth()).toMatchObject(truth);
  expect(host.device.violations()).toEqual([]);
});

test.each([
  ['jamCassette', '44', { path: { 20: 1 } }],
  ['cheat', '45', { customer: { 20: 1 } }],
] as const)('a note that does not arrive: %s, until RESET', async (fault, code, truth) => {
  const host = await new Host().ready();
  host.fault(fault);
  await host.escrow(20);
  await host.say([0x35]);
  await host.clock.advance(1000);
  for (let count = 0; count < 2; count++) expect(await host.poll()).toBe(code);
  expect(host.device.truth()).toMatchObject({ cashbox: {}, ...truth });
  if (fault === 'jamCassette') {
    await host.say([0x30]);
    await host.clock.advance(2000);
    expect(await host.poll()).toBe('44');
    host.device.control({ do: 'take' });
  }
  await host.ready();
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: {}, customer: { 20: 1 } });
});

test('the cash box: out, back, full right after a credit, emptied', async () => {
  const host = await new Host().ready();
  host.device.control({ do: 'cashbox', present: false });
  expect(await host.poll()).toBe('42');
  host.device.control({ do: 'cashbox', present: true });
  expect(await host.poll()).toBe('13');
  await host.ready();
  host.fault('cassetteFull');
  await host.escrow(20);
  await host.say([0x35]);
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('8104');
  expect(await host.poll()).toBe('41');
  const removed = host.device.control({ do: 'cashbox', present: true, empty: true });
  expect(removed).toMatchObject({ removed: { 20: 1 }, cashbox: {} });
  await host.ready();
  const stubborn = await new Host({ refitNeedsReset: true }).ready();
  stubborn.device.control({ do: 'cashbox', present: false });
  stubborn.device.control({ do: 'cashbox', present: true });
  await stubborn.clock.advance(5000);
  expect(await stubborn.poll()).toBe('42');
  await stubborn.ready();
});

test('busy says for how long, carries nothing out, and passes', async () => {
  const host = await new Host().ready();
  await host.escrow(20);
  host.fault('busy', 5);
  expect(await host.say([0x33])).toBe('1b05');
  expect(await host.say([0x35])).toBe('1b05');
  await host.clock.advance(500);
  expect(await host.poll()).toBe('8004');
});

test('a second note pauses it, with the first one where it was', async () => {
  const host = await new Host().ready();
  await host.escrow(20);
  await host.say([0x35]);
  host.fault('pause');
  await host.clock.advance(5000);
  expect(await host.poll()).toBe('46');
  expect(host.device.truth()).toMatchObject({ path: { 20: 1 } });
  host.device.control({ do: 'take' });
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('8104');
});

test.each([
  ['deaf', 0x33, undefined],
  ['loseReply', 0x33, undefined],
  ['nak', 0x33, '020306ffba8d'],
  ['illegal', 0x33, '0203063041b3'],
  ['badChecksum', undefined, '0203061043c7'],
  ['duplicateReply', undefined, '020306104392'],
  ['noise', undefined, 'ff020300'],
] as const)('the line: %s', async (fault, value, first) => {
  const host = new Host();
  host.fault(fault, value);
  await host.bare();
  expect(host.heard[0]).toBe(first);
  expect(host.heard.length).toBe(
    fault === 'duplicateReply' || fault === 'noise' ? 2 : first === undefined ? 0 : 1,
  );
  expect(await host.bare()).toBe('10');
});

test('late answers come late, in their order', async () => {
  const host = new Host();
  host.fault('late', 300);
  expect(await host.bare()).toBeUndefined();
  expect(await host.say([0x30])).toBeUndefined();
  await host.clock.advance(300);
  expect(host.heard).toEqual(['020306104392', '02030600c282']);
});

test('each fault is described, and each model says who it is', async () => {
  for (const text of Object.values(ccnetFaults)) expect(text.length).toBeGreaterThan(10);
  for (const model of simulatedCcnet.models) {
    const clock = new VirtualClock();
    const device = simulatedCcnet.make(model, clock, { currency: 'EUR', cassettes: {} });
    const heard: string[] = [];
    device.connect((bytes) => heard.push(Buffer.from(bytes).toString('latin1')));
    device.receive(encodeFrame([0x37]));
    await clock.advance(20);
    expect(heard[0]).toContain(`${model.toUpperCase()}-`);
  }
  expect(ccnetNotes('EUR').at(-1)).toEqual({ type: 6, country: 'EUR', value: 5, exponent: 2 });
  expect(ccnetNotes('CHF')[0]).toEqual({ type: 0, country: 'CHE', value: 1, exponent: 1 });
});

test('hands cannot do what makes no sense', () => {
  const { device } = new Host();
  expect(() => device.control({ do: 'take' })).toThrow('nothing to take');
  expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow('powerUp');
  expect(() => device.control({ do: 'fault', name: 'gremlins' })).toThrow('no fault');
  expect(() => device.control({ do: 'fault', name: 'late', times: -1 })).toThrow('times');
  expect(() => device.control({ do: 'cassette', position: 1 })).toThrow('no cassettes');
});
