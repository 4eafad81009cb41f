/** The simulated device as other people's drivers see it: bytes, in poll and in interrupt mode. */
import { expect, test } from 'vitest';
import { encodeFrame } from '#hal/id003/wire.ts';
import { Id003Device, type Id003DeviceOptions } from '#hal/simulator/id003/device.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A host that writes bytes and reads bytes, and knows nothing else. */
class Host {
  readonly clock = new VirtualClock();
  readonly device: Id003Device;
  readonly heard: string[] = [];

  constructor(options: Id003DeviceOptions = {}) {
    this.device = new Id003Device({ clock: this.clock, options });
    this.device.connect((bytes) => this.heard.push(Buffer.from(bytes).toString('hex')));
  }

  /** Sends one command; gives code and data of the first answer. */
  async say(code: number, ...data: number[]): Promise<string | undefined> {
    this.heard.length = 0;
    this.device.receive(encodeFrame(code, data));
    await this.clock.advance(20);
    return this.heard[0]?.slice(4, -4);
  }

  async ready(): Promise<this> {
    expect(await this.say(0x40)).toBe('50');
    await this.clock.advance(2000);
    expect(await this.say(0xc3, 0)).toBe('c300');
    expect(await this.say(0x11)).toBe('11');
    return this;
  }

  insert(denomination: number): void {
    this.device.control({ do: 'insert', denomination });
  }
}

test('says POWER UP to every poll until RESET, but tells who it is', async () => {
  const host = new Host();
  for (let poll = 0; poll < 3; poll++) expect(await host.say(0x11)).toBe('40');
  expect(await host.say(0x88)).toMatch(/^8855/);
  expect(await host.say(0x8a)).toMatch(/^8a61010100/);
  expect(await host.say(0x11)).toBe('40');
  expect(await host.say(0x40)).toBe('50');
  expect(await host.say(0x11)).toBe('1b');
  await host.clock.advance(2000);
  expect(await host.say(0x11)).toBe('1a');
  expect(host.device.violations()).toEqual([]);
});

test('a host that sends no settings at all, and polls: STACK-2', async () => {
  const host = await new Host().ready();
  host.insert(20);
  expect(await host.say(0x11)).toBe('12');
  await host.clock.advance(1000);
  expect(await host.say(0x11)).toBe('1365');
  expect(await host.say(0x42)).toBe('50');
  expect(await host.say(0x11)).toBe('14');
  await host.clock.advance(1000);
  expect(host.device.truth().cashbox).toEqual({ 20: 1 });
  for (let poll = 0; poll < 3; poll++) expect(await host.say(0x11)).toBe('15');
  expect(await host.say(0x50)).toBeUndefined();
  expect(await host.say(0x11)).toBe('16');
  await host.clock.advance(500);
  expect(await host.say(0x11)).toBe('11');
  expect(host.device.violations()).toEqual([]);
});

test('STACK-1 credits at the lever, before the note is in the box; STACK-3 after', async () => {
  const host = await new Host().ready();
  host.insert(5);
  await host.clock.advance(1000);
  await host.say(0x41);
  await host.clock.advance(250);
  expect(await host.say(0x11)).toBe('15');
  expect(host.device.truth()).toMatchObject({ path: { 5: 1 }, cashbox: {} });
  // 14, 15, ACK, 16, 11 (cash-hardware.md 2.5): never 14 again, which hosts take for out of turn.
  await host.say(0x50);
  expect(await host.say(0x11)).toBe('16');
  await host.clock.advance(500);
  expect(await host.say(0x11)).toBe('16');
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 5: 1 } });
  await host.clock.advance(500);
  expect(await host.say(0x11)).toBe('11');
  host.insert(5);
  await host.clock.advance(1000);
  expect(await host.say(0x49)).toBe('50');
  await host.clock.advance(250);
  expect(await host.say(0x11)).toBe('14');
  await host.clock.advance(500);
  expect(await host.say(0x11)).toBe('15');
  expect(host.device.violations()).toEqual([]);
});

test('interrupt mode: an enquiry on each change of state, and nothing in between', async () => {
  const host = await new Host().ready();
  expect(await host.say(0xc2, 1)).toBe('c201');
  host.heard.length = 0;
  host.insert(10);
  await host.clock.advance(700);
  expect(host.heard).toEqual(['fc05058200']);
  expect(await host.say(0x11)).toBe('12');
  host.heard.length = 0;
  await host.clock.advance(300);
  expect(host.heard).toEqual(['fc05058200']);
  expect(await host.say(0x11)).toBe('1364');
  await host.say(0x43);
  expect(host.heard).toContain('fc05058200');
  expect(await host.say(0x11)).toBe('18');
  await host.clock.advance(1000);
  expect(await host.say(0x11)).toBe('11');
  expect(host.device.truth().customer).toEqual({ 10: 1 });
  expect(host.device.violations()).toEqual([]);
});

test('RESET at any time gives a note back that is not past escrow', async () => {
  const host = await new Host().ready();
  host.insert(20);
  await host.clock.advance(1000);
  expect(await host.say(0x40)).toBe('50');
  await host.clock.advance(2000);
  expect(await host.say(0x11)).toBe('1a');
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
  expect(host.device.violations()).toEqual([]);
});

test('HOLD keeps the note; without it the device gives it back by itself', async () => {
  const host = await new Host({ timings: { escrowTimeoutMs: 5000 } }).ready();
  host.insert(20);
  await host.clock.advance(1000);
  for (let round = 0; round < 4; round++) {
    expect(await host.say(0x44)).toBe('50');
    await host.clock.advance(3000);
    expect(await host.say(0x11)).toBe('19');
  }
  await host.clock.advance(3000);
  expect(host.device.truth()).toMatchObject({ path: {}, customer: { 20: 1 } });
});

test('inhibit in mid-note is lawful and that note is finished', async () => {
  const host = await new Host().ready();
  host.insert(20);
  expect(await host.say(0xc3, 1)).toBe('c301');
  await host.clock.advance(1000);
  expect(await host.say(0x11)).toBe('1365');
  await host.say(0x43);
  await host.clock.advance(1000);
  expect(await host.say(0x11)).toBe('1a');
  expect(host.device.violations()).toEqual([]);
});

test('what is out of turn is refused and written down', async () => {
  const host = await new Host().ready();
  expect(await host.say(0x42)).toBe('4b');
  expect(await host.say(0x43)).toBe('4b');
  expect(await host.say(0x44)).toBe('4b');
  expect(await host.say(0x50)).toBeUndefined();
  expect(await host.say(0x77)).toBe('4b');
  expect(await host.say(0xf0, 0x20, 0x4a)).toBe('4b');
  expect(await host.say(0xc0, 1)).toBe('4b');
  expect(host.device.violations()).toHaveLength(7);
  host.insert(20);
  await host.clock.advance(1000);
  await host.say(0x42);
  expect(await host.say(0x42)).toBe('4b');
  expect(await host.say(0xc0, 0, 0)).toBe('c00000');
  host.device.receive(encodeFrame(0x11));
  host.device.receive(encodeFrame(0x11));
  host.device.receive(Uint8Array.of(1, 2, 3));
  await host.clock.advance(1000);
  expect(host.device.violations().slice(7)).toEqual([
    'command 42 in state stacking: no note is in escrow',
    'setDenominations in state stacking',
    'command 11 before the last one was answered',
    '3 bytes that are no frame',
  ]);
  await host.say(0x40);
  expect(host.device.violations().at(-1)).toContain('the credit is forgotten');
});

test('a setting is kept until it is set again, and forgotten by RESET', async () => {
  const host = await new Host().ready();
  expect(await host.say(0x80)).toBe('800000');
  expect(await host.say(0xc0, 0x10, 0)).toBe('c01000');
  expect(await host.say(0x80)).toBe('801000');
  host.insert(20);
  await host.clock.advance(1000);
  expect(await host.say(0x11)).toBe('1779');
  await host.say(0x40);
  expect(await host.say(0x80)).toBe('800000');
  expect(await host.say(0x83)).toBe('8301');
});

test('power states tell where the note was, and RESET takes it there', async () => {
  const host = await new Host({ creditAfterPowerUpInStacker: true }).ready();
  host.insert(20);
  await host.clock.advance(1000);
  host.device.control({ do: 'power', on: false });
  expect(await host.say(0x11)).toBeUndefined();
  host.device.control({ do: 'power', on: true });
  expect(await host.say(0x11)).toBe('41');
  await host.ready();
  host.insert(5);
  await host.clock.advance(1000);
  await host.say(0x42);
  await host.clock.advance(300);
  host.device.control({ do: 'power', on: false });
  host.device.control({ do: 'power', on: true });
  expect(await host.say(0x11)).toBe('42');
  expect(host.device.truth()).toMatchObject({ path: { 5: 1 }, customer: { 20: 1 } });
  await host.say(0x40);
  await host.clock.advance(2000);
  expect(await host.say(0x11)).toBe('15');
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 5: 1 } });
});

test('hands cannot do what makes no sense', () => {
  const { device } = new Host();
  expect(() => device.control({ do: 'take' })).toThrow('nothing to take');
  expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow('powerUp');
  expect(() => device.control({ do: 'fault', name: 'gremlins' })).toThrow('no fault');
  expect(() => device.control({ do: 'fault', name: 'late', times: -1 })).toThrow('times');
  expect(() => device.control({ do: 'cassette', position: 1 })).toThrow('no cassettes');
});
