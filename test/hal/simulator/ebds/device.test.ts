/** The simulated device as other people's drivers see it: bytes, and the ACK bit. */
import { expect, test } from 'vitest';
import { type AckBit, encodeFrame, toggled } from '#hal/ebds/wire.ts';
import { EbdsDevice, type EbdsDeviceOptions } from '#hal/simulator/ebds/device.ts';
import { ebdsFaults } from '#hal/simulator/ebds/faults.ts';
import { ebdsNotes, ebdsOptions, simulatedEbds } from '#hal/simulator/ebds/protocol.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const OMNIBUS = 1;
const AUXILIARY = 6;
const EXTENDED = 7;
/** All notes, any way up, escrow, numbered; the policy is in the last byte. */
const ALL = [0x7f, 0x1c, 0x04];
const STACK = [0x7f, 0x3c, 0x04];
const RETURN = [0x7f, 0x5c, 0x04];
const OFF = [0x00, 0x1c, 0x04];
const APEX: EbdsDeviceOptions = ebdsOptions('apex-7000', { currency: 'USD' });

/** A host that writes bytes and reads bytes, and knows nothing else. */
class Host {
  readonly clock = new VirtualClock();
  readonly device: EbdsDevice;
  readonly heard: string[] = [];
  ack: AckBit = 0;

  constructor(options: EbdsDeviceOptions = {}) {
    this.device = new EbdsDevice({ clock: this.clock, options });
    this.device.connect((bytes) => this.heard.push(Buffer.from(bytes).toString('hex')));
  }

  /** Sends a new command, or the last bit again; gives the answer without its frame. */
  async say(type: number, data: readonly number[], isNew = true): Promise<string | undefined> {
    if (isNew) this.ack = toggled(this.ack);
    this.heard.length = 0;
    this.device.receive(encodeFrame(type, this.ack, data));
    await this.clock.advance(20);
    return this.heard.find((one) => one !== '05')?.slice(4, -4);
  }

  /** State, status, exception and the rest of an omnibus reply. */
  async poll(settings: readonly number[] = ALL): Promise<string | undefined> {
    return (await this.say(OMNIBUS, settings))?.slice(2, 10);
  }

  async ready(settings: readonly number[] = ALL): Promise<this> {
    await this.clock.advance(2000);
    expect(await this.poll(settings)).toMatch(/^01100000|^01100010/);
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

  power(on: boolean): void {
    this.device.control({ do: 'power', on });
  }
}

const ascii = (hex: string | undefined): string => Buffer.from(hex ?? '', 'hex').toString('latin1');

test('says power-up until it has started, then rest; to the byte as in the reference', async () => {
  const host = new Host(APEX);
  host.device.receive(encodeFrame(OMNIBUS, 0, OFF));
  await host.clock.advance(20);
  expect(host.heard.splice(0)).toEqual(['020b200110010001020338']);
  await host.clock.advance(2000);
  host.device.receive(encodeFrame(OMNIBUS, 1, OFF));
  await host.clock.advance(20);
  expect(host.heard.splice(0)).toEqual(['020b210110000001020338']);
  host.device.receive(encodeFrame(OMNIBUS, 0, OFF));
  await host.clock.advance(20);
  expect(host.heard).toEqual(['020b200110000001020339']);
  expect(host.device.violations()).toEqual([]);
});

test('tells who it is and which notes it knows', async () => {
  const host = await new Host().ready(OFF);
  const ask = async (code: number) => ascii(await host.say(AUXILIARY, [0, 0, code]));
  expect(await ask(0x04)).toMatch(/^[`a]SC8327R\0{13}$/);
  expect(await ask(0x05)).toMatch(/^[`a]12345678\0{12}$/);
  expect(await ask(0x07)).toMatch(/^[`a]285001123$/);
  expect(await ask(0x08)).toMatch(/^[`a]USD\0{29}$/);
  const lengths: readonly (readonly [number, number])[] = [
    ...([
      [0x00, 6],
      [0x01, 6],
      [0x02, 6],
      [0x06, 9],
      [0x09, 9],
      [0x0a, 48],
      [0x0b, 56],
    ] as const),
    ...([
      [0x0c, 72],
      [0x0d, 6],
      [0x0e, 9],
      [0x0f, 9],
    ] as const),
  ];
  for (const [code, bytes] of lengths) expect((await ask(code)).length - 1).toBe(bytes);
  const note = async (index: number) =>
    ascii(await host.say(EXTENDED, [0x02, ...OFF, index])).slice(8, 18);
  expect(await note(1)).toBe('\x01USD001+00');
  expect(await note(7)).toBe('\x07USD100+00');
  expect(await note(8)).toBe('\0'.repeat(10));
  expect(host.device.violations()).toEqual([]);
});

test('accepts to the letter, with numbered notes', async () => {
  const host = await new Host(APEX).ready();
  host.insert(20);
  expect(await host.poll()).toBe('02100000');
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('04102800');
  expect(await host.poll(STACK)).toBe('08100000');
  await host.clock.advance(300);
  expect(await host.poll()).toBe('08100004');
  await host.clock.advance(1000);
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 } });
  expect(await host.poll()).toBe('11102800');
  expect(await host.poll()).toBe('01100000');
  expect(host.device.violations()).toEqual([]);
});

test('described notes: in escrow and when stacked the reply is one of 30 bytes', async () => {
  const extended = (settings: readonly number[]) => [settings[0] ?? 0, settings[1] ?? 0, 0x14];
  const host = await new Host().ready(extended(ALL));
  await host.escrow(20);
  const described = async (settings: readonly number[]) => {
    const hex = await host.say(OMNIBUS, extended(settings));
    return [hex?.slice(0, 12), ascii(hex?.slice(16, 36)), hex?.length];
  };
  expect(await described(ALL)).toEqual(['700204100010', '\0USD020+00', 52]);
  await host.say(OMNIBUS, extended(STACK));
  await host.clock.advance(1000);
  expect(await described(ALL)).toEqual(['700211100010', '\0USD020+00', 52]);
  expect(await host.poll(extended(ALL))).toBe('01100010');
  expect(host.device.violations()).toEqual([]);
});

test('the same ACK bit brings the last reply again, to the byte, and does nothing', async () => {
  const host = await new Host(APEX).ready();
  await host.escrow(20);
  await host.poll();
  const stacking = await host.say(OMNIBUS, STACK);
  await host.clock.advance(2000);
  expect(host.device.truth().cashbox).toEqual({ 20: 1 });
  expect(await host.say(OMNIBUS, ALL, false)).toBe(stacking);
  const credit = await host.say(OMNIBUS, ALL);
  expect(credit?.slice(2, 10)).toBe('11102800');
  for (let count = 0; count < 3; count++) {
    expect(await host.say(OMNIBUS, ALL, false)).toBe(credit);
  }
  await host.say(OMNIBUS, ALL);
  await host.escrow(5);
  await host.poll();
  // A stack bit under the old ACK bit is none.
  expect((await host.say(OMNIBUS, STACK, false))?.slice(2, 4)).toBe('04');
  await host.clock.advance(2000);
  expect(await host.poll()).toBe('04101800');
  expect(host.device.truth()).toMatchObject({ path: { 5: 1 }, cashbox: { 20: 1 } });
  expect(host.device.violations()).toEqual([]);
});

test('a note goes back: returning, returned once, rest', async () => {
  const host = await new Host(APEX).ready();
  await host.escrow(20);
  expect(await host.poll(RETURN)).toBe('20100000');
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('41100000');
  expect(await host.poll()).toBe('01100000');
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
});

test('what is not enabled is rejected: a channel, a described note, one that it does not know', async () => {
  const host = await new Host(APEX).ready([0x6f, 0x1c, 0x04]);
  for (const denomination of [20, 3]) {
    await host.escrow(denomination);
    await host.clock.advance(1000);
    expect(await host.poll([0x6f, 0x1c, 0x04])).toBe('01120000');
    expect(await host.poll([0x6f, 0x1c, 0x04])).toBe('01100000');
  }
  const described = await new Host().ready([0x7f, 0x1c, 0x14]);
  const mask = [0x0f, 0, 0, 0, 0, 0, 0, 0];
  expect(await described.say(EXTENDED, [0x03, 0x7f, 0x1c, 0x14, ...mask])).toMatch(/^2[01]/);
  await described.escrow(20);
  await described.clock.advance(1000);
  expect(await described.poll([0x7f, 0x1c, 0x14])).toBe('01120010');
  await described.escrow(10);
  expect(await described.poll([0x7f, 0x1c, 0x14])).toBe('02041000');
  expect(described.device.violations()).toEqual([]);
});

test('without escrow mode a note is stacked without stopping; shut, none is drawn in', async () => {
  const host = await new Host(APEX).ready([0x7f, 0x0c, 0x04]);
  await host.escrow(20);
  await host.clock.advance(1000);
  expect(await host.poll([0x7f, 0x0c, 0x04])).toBe('11102800');
  expect(host.device.truth().cashbox).toEqual({ 20: 1 });
  await host.poll(OFF);
  expect(() => host.insert(20)).toThrow('disabled');
});

test('what is out of turn is answered as the protocol says, and written down', async () => {
  const host = await new Host(APEX).ready();
  expect(await host.poll(STACK)).toBe('01100000');
  expect(await host.poll(RETURN)).toBe('01100000');
  await host.escrow(20);
  expect(await host.poll([0x7f, 0x7c, 0x04])).toBe('04102a00');
  for (const [type, data] of [
    [AUXILIARY, [0, 0, 5]],
    [EXTENDED, [2, ...ALL, 1]],
    [3, [0, 0, 0]],
    [OMNIBUS, [0, 0]],
  ] as const) {
    expect((await host.say(type, data))?.slice(6, 8)).toBe('2a');
  }
  expect(await host.poll()).toBe('04102800');
  host.device.receive(encodeFrame(OMNIBUS, toggled(host.ack), ALL));
  host.device.receive(encodeFrame(OMNIBUS, host.ack, ALL));
  await host.clock.advance(50);
  expect(host.device.violations()).toEqual([
    'stack in state idling: no note is in escrow',
    'return in state idling: no note is in escrow',
    'a command of type 1: stack and return at once',
    'a command of type 6: auxiliary 5 is not known to this model',
    'a command of type 7: not known to this model',
    'a command of type 3: not known to this model',
    'a command of type 1: not known to this model',
    'a new command of type 1 before the last one was answered',
  ]);
});

test('what is no frame is answered by nothing; the eighth bit does not count', async () => {
  const host = await new Host(APEX).ready();
  host.heard.length = 0;
  const good = encodeFrame(OMNIBUS, toggled(host.ack), ALL);
  host.device.receive(good.map((byte, at) => (at === good.length - 1 ? byte ^ 1 : byte)));
  host.device.receive(Uint8Array.of(0x7f, 0x55));
  await host.clock.advance(500);
  expect(host.heard).toEqual([]);
  expect(host.device.violations().length).toBeGreaterThan(0);
  host.device.receive(good.map((byte) => byte | 0x80));
  await host.clock.advance(20);
  expect(host.heard).toHaveLength(1);
});

/** Policy, where the power goes, what is said once it is back, and where the note is then. */
const POLICIES = [
  ['a', 0x00, 'escrow', ['20100100', '41100000'], { customer: { 20: 1 } }],
  ['b', 0x04, 'escrow', ['00100000'], { path: { 20: 1 } }],
  ['c', 0x08, 'escrow', ['00100000'], { path: { 20: 1 } }],
  ['a', 0x00, 'stacker', ['11100000'], { cashbox: { 20: 1 } }],
  ['b', 0x04, 'stacker', ['11102800'], { cashbox: { 20: 1 } }],
  ['c', 0x08, 'stacker', ['11100000'], { cashbox: { 20: 1 } }],
] as const;

test.each(POLICIES)(
  'power-up policy %s (%i): a note in %s',
  async (_name, bits, at, said, truth) => {
    const settings = [0x7f, 0x1c, bits];
    const host = await new Host(APEX).ready(settings);
    await host.escrow(20);
    await host.poll(settings);
    if (at === 'stacker') {
      await host.poll([0x7f, 0x3c, bits]);
      await host.clock.advance(300);
    }
    host.power(false);
    expect(await host.poll([0, 0x1c, bits])).toBeUndefined();
    host.power(true);
    const heard = new Set<string | undefined>();
    for (let poll = 0; poll < 60; poll++) {
      heard.add(await host.poll([0, 0x1c, bits]));
      await host.clock.advance(80);
    }
    for (const one of said) expect([...heard]).toContain(one);
    expect(host.device.truth()).toMatchObject(truth);
    expect(host.device.violations()).toEqual([]);
  },
);

test('a held note is given back by hand, or by the host where it shows', async () => {
  const host = await new Host(APEX).ready();
  await host.escrow(20);
  host.power(false);
  host.power(true);
  await host.clock.advance(3000);
  expect(await host.poll()).toBe('00100000');
  host.device.control({ do: 'take' });
  expect(await host.poll()).toBe('01100000');
  const open = await new Host({ ...APEX, showsHeldNote: true }).ready();
  await open.escrow(20);
  open.power(false);
  open.power(true);
  await open.clock.advance(3000);
  expect(await open.poll()).toBe('04102800');
  await open.poll(RETURN);
  await open.clock.advance(1000);
  expect(open.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
});

test('a unit may keep to a policy of its own, or lose the value of a credit', async () => {
  for (const options of [{ fixedPolicy: 'c' }, { reportsCreditAfterPowerUp: false }] as const) {
    const host = await new Host({ ...APEX, ...options }).ready();
    await host.escrow(20);
    await host.poll(STACK);
    await host.clock.advance(300);
    host.power(false);
    host.power(true);
    await host.clock.advance(5000);
    expect(await host.poll()).toBe('11100000');
  }
});

test('a soft reset is answered by nothing, gives the note back, and forgets the ACK bit', async () => {
  const host = await new Host().ready([0x7f, 0x1c, 0x04]);
  await host.escrow(20);
  expect(await host.say(AUXILIARY, [0x7f, 0x7f, 0x7f])).toBeUndefined();
  await host.clock.advance(500);
  expect(await host.poll()).toBeUndefined();
  await host.clock.advance(1200);
  expect(await host.say(OMNIBUS, OFF, false)).toMatch(/^2[01]/);
  await host.clock.advance(3000);
  expect(await host.poll(OFF)).toBe('41100010');
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
  expect(host.device.violations()).toEqual([]);
});

test('the cash box: out, back, full right after a credit, emptied', async () => {
  const host = await new Host(APEX).ready();
  host.device.control({ do: 'cashbox', present: false });
  expect(await host.poll()).toBe('00000000');
  expect(() => host.insert(20)).toThrow('takes no note');
  host.device.control({ do: 'cashbox', present: true });
  expect(await host.poll()).toBe('01100000');
  host.fault('stackerFull');
  await host.escrow(20);
  await host.poll(STACK);
  await host.clock.advance(1000);
  expect(await host.poll()).toBe('10182800');
  expect(await host.poll()).toBe('00180000');
  const removed = host.device.control({ do: 'cashbox', present: true, empty: true });
  expect(removed).toMatchObject({ removed: { 20: 1 }, cashbox: {} });
  expect(await host.poll()).toBe('01100000');
});

test.each(['accepting', 'escrowed', 'stacking'] as const)(
  'the cash box out and back while %s: the note is where the device says',
  async (state) => {
    const host = await new Host(APEX).ready();
    host.insert(20);
    if (state !== 'accepting') await host.clock.advance(1000);
    if (state === 'stacking') {
      await host.poll(STACK);
      await host.clock.advance(300);
    }
    host.device.control({ do: 'cashbox', present: false });
    await host.clock.advance(3000);
    expect(await host.poll()).toBe('00000000');
    expect(host.device.truth().path).toEqual({ 20: 1 });
    host.device.control({ do: 'cashbox', present: true });
    await host.clock.advance(3000);
    const end = state === 'stacking' ? '11102800' : '41100000';
    expect(await host.poll()).toBe(end);
    const place = state === 'stacking' ? { cashbox: { 20: 1 } } : { customer: { 20: 1 } };
    expect(host.device.truth()).toMatchObject({ path: {}, ...place });
  },
);

test.each([
  ['reject', 'escrow', '01120000', { customer: { 20: 1 } }],
  ['jamAcceptor', 'escrow', '00140000', { path: { 20: 1 } }],
  ['escrowTimeout', 'escrow', '41100000', { customer: { 20: 1 } }],
  ['jamStacker', 'stack', '00140000', { path: { 20: 1 } }],
  ['cheat', 'stack', '41110000', { customer: { 20: 1 } }],
  ['otherNote', 'stack', '11100800', { cashbox: { 20: 1 } }],
  ['noValue', 'stack', '11100000', { cashbox: { 20: 1 } }],
  ['notTaken', 'return', '20100000', { path: { 20: 1 } }],
  ['pause', 'stack', '08300004', { path: { 20: 1 } }],
] as const)('a note with trouble: %s after %s', async (fault, after, said, truth) => {
  const host = await new Host(APEX).ready();
  if (fault !== 'pause') host.fault(fault, fault === 'escrowTimeout' ? 100 : undefined);
  await host.escrow(20);
  if (after === 'stack') await host.poll(STACK);
  if (after === 'return') await host.poll(RETURN);
  if (fault === 'pause') {
    await host.clock.advance(300);
    host.fault(fault);
  }
  await host.clock.advance(3000);
  expect(await host.poll()).toBe(said);
  expect(host.device.truth()).toMatchObject(truth);
  expect(host.device.violations()).toEqual([]);
});

test.each([
  ['failure', '00100410'],
  ['stall', '00100011'],
] as const)('%s lasts until a soft reset', async (fault, said) => {
  const host = await new Host().ready(OFF);
  host.fault(fault);
  for (let count = 0; count < 2; count++) expect(await host.poll(OFF)).toBe(said);
  await host.say(AUXILIARY, [0x7f, 0x7f, 0x7f]);
  await host.clock.advance(4000);
  expect(await host.poll(OFF)).toBe('01100010');
});

test('an open path, "stacked" of nothing, and hands that clear a jam', async () => {
  const host = await new Host(APEX).ready();
  host.fault('transportOpen');
  expect(await host.poll()).toBe('00104000');
  host.fault('transportOpen', undefined, 0);
  expect(await host.poll()).toBe('01100000');
  host.fault('blankStacked');
  expect(await host.poll()).toBe('11100000');
  host.fault('jamAcceptor');
  await host.escrow(20);
  host.device.control({ do: 'take' });
  expect(await host.poll()).toBe('01100000');
  const stubborn = await new Host({ jamNeedsReset: true }).ready(ALL);
  stubborn.fault('jamAcceptor');
  await stubborn.escrow(20);
  stubborn.device.control({ do: 'take' });
  expect(await stubborn.poll()).toBe('00140010');
});

test.each([
  ['powerCutAtStack', undefined, { path: { 20: 1 } }],
  ['powerCutBeforeCredit', '08100000', { path: { 20: 1 } }],
  ['powerCutAfterCredit', '08100000', { cashbox: { 20: 1 } }],
] as const)('%s', async (fault, atStack, truth) => {
  const host = await new Host(APEX).ready();
  await host.escrow(20);
  host.fault(fault);
  expect(await host.poll(STACK)).toBe(atStack);
  await host.clock.advance(2000);
  expect(await host.poll()).toBe(fault === 'powerCutAfterCredit' ? '11102800' : undefined);
  expect(await host.poll()).toBeUndefined();
  expect(host.device.truth()).toMatchObject(truth);
  host.power(true);
  await host.clock.advance(4000);
  // A credit that no further command has acknowledged is told again under policy B.
  expect(await host.poll()).toBe(fault === 'powerCutAtStack' ? '00100000' : '11102800');
});

test.each([
  ['deaf', 1, []],
  ['loseReply', 1, []],
  ['invalid', 1, ['020b20011002000102033b']],
  ['badChecksum', undefined, ['020b20011000000102036c']],
  ['wrongAck', undefined, ['020b210110000001020338']],
  ['duplicateReply', undefined, ['020b200110000001020339', '020b200110000001020339']],
  ['noise', undefined, ['ff02037f', '020b200110000001020339']],
  ['parity', undefined, ['828ba08190000081820339']],
] as const)('the line: %s', async (fault, value, said) => {
  const host = await new Host(APEX).ready();
  host.fault(fault, value);
  await host.say(OMNIBUS, ALL);
  expect(host.heard).toEqual(said);
  expect(await host.poll()).toBe('01100000');
});

test('late answers come late, in their order', async () => {
  const host = await new Host(APEX).ready();
  host.fault('late', 300);
  expect(await host.poll()).toBeUndefined();
  await host.clock.advance(300);
  expect(host.heard).toHaveLength(1);
});

test('special interrupt mode: one byte says that something has changed', async () => {
  const settings = [0x7f, 0x1d, 0x04];
  const host = await new Host(APEX).ready(settings);
  host.heard.length = 0;
  await host.escrow(20);
  expect(host.heard).toEqual(['05', '05']);
  const never = await new Host({ ...APEX, neverInterrupts: true }).ready(settings);
  never.heard.length = 0;
  await never.escrow(20);
  expect(never.heard).toEqual([]);
});

test('a host that falls silent gets no note: it goes back, and the slot shuts', async () => {
  const host = await new Host(APEX).ready();
  await host.escrow(20);
  await host.clock.advance(40_000);
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
  expect(() => host.insert(20)).toThrow('disabled');
});

test('each fault is described, and each model says who it is', async () => {
  for (const text of Object.values(ebdsFaults)) expect(text.length).toBeGreaterThan(10);
  const codes: string[] = [];
  for (const model of simulatedEbds.models) {
    const clock = new VirtualClock();
    const device = simulatedEbds.make(model, clock, { currency: 'USD', cassettes: {} });
    const heard: string[] = [];
    device.connect((bytes) => heard.push(Buffer.from(bytes).toString('hex')));
    await clock.advance(2000);
    device.receive(encodeFrame(OMNIBUS, 0, OFF));
    await clock.advance(20);
    device.receive(encodeFrame(AUXILIARY, 1, [0, 0, 0x07]));
    await clock.advance(20);
    codes.push(`${heard[0]?.slice(14, 16)} ${ascii(heard[1]?.slice(6, -4))}`);
  }
  expect(codes).toEqual(['54 285001123', '54 286401123', expect.stringMatching(/^01 /)]);
  expect(ebdsNotes('EUR').at(-1)).toEqual({ index: 7, currency: 'EUR', denomination: 500 });
  expect(() => ebdsOptions('apex-7000', { currency: 'EUR' })).toThrow('knows the notes of USD');
});

test('hands cannot do what makes no sense', () => {
  const { device } = new Host();
  expect(() => device.control({ do: 'take' })).toThrow('nothing to take');
  expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow('while it starts');
  expect(() => device.control({ do: 'fault', name: 'gremlins' })).toThrow('no fault');
  expect(() => device.control({ do: 'fault', name: 'late', times: -1 })).toThrow('times');
  expect(() => device.control({ do: 'cassette', position: 1 })).toThrow('no cassettes');
});
