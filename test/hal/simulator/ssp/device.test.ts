/** The simulated device as other people's drivers see it: bytes, plain and encrypted. */
import { expect, test } from 'vitest';
import { SspDevice, type SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import { numberBytes, numberOf, SspEnvelope, sessionKey } from '#hal/ssp/encryption.ts';
import { encodeFrame, SspFramer, type SspSequence } from '#hal/ssp/wire.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const random = seededRandom('a host');

/** A host that writes bytes and reads bytes, and knows nothing else. */
class Host {
  readonly clock = new VirtualClock();
  readonly device: SspDevice;
  readonly heard: string[] = [];
  sequence: SspSequence = 0;
  envelope: SspEnvelope | undefined;
  count = 0;

  constructor(options: SspDeviceOptions = {}) {
    this.device = new SspDevice({ clock: this.clock, options: { random, ...options } });
    this.device.connect((bytes) => this.heard.push(Buffer.from(bytes).toString('hex')));
  }

  /** Sends one command with the next sequence flag; gives the data of the first answer in hex. */
  async say(...data: number[]): Promise<string | undefined> {
    const plain = Uint8Array.from(data);
    const content = this.envelope?.seal(this.count, plain) ?? plain;
    const reply = await this.put(encodeFrame(this.sequence, content));
    this.sequence = this.sequence === 1 ? 0 : 1;
    if (!reply) return undefined;
    const opened = this.envelope?.open(Buffer.from(reply, 'hex'));
    if (!opened) return reply;
    this.count = opened.count;
    return Buffer.from(opened.data).toString('hex');
  }

  /** Sends bytes; gives the data of the first answer in hex. */
  async put(bytes: Uint8Array): Promise<string | undefined> {
    this.heard.length = 0;
    this.device.receive(bytes);
    await this.clock.advance(20);
    const [first] = this.heard;
    if (first === undefined) return undefined;
    const [event] = new SspFramer().push(Buffer.from(first, 'hex'));
    return event?.kind === 'frame' ? Buffer.from(event.frame.data).toString('hex') : undefined;
  }

  async sync(): Promise<this> {
    expect(await this.put(encodeFrame(1, [0x11]))).toBe('f0');
    this.sequence = 0;
    return this;
  }

  /** Keys by hand: generator 60539, modulus 58907, secret 4321. */
  async agree(): Promise<this> {
    await this.sync();
    expect(await this.say(0x4a, ...numberBytes(60539n))).toBe('f0');
    expect(await this.say(0x4b, ...numberBytes(58907n))).toBe('f0');
    const reply = await this.say(0x4c, ...numberBytes(25932n));
    const other = numberOf(Buffer.from(reply?.slice(2) ?? '', 'hex'));
    const key = sessionKey({ modulus: 58907n, secret: 4321n }, other, 0x0123456701234567n);
    this.envelope = new SspEnvelope(key, random);
    this.count = 0;
    return this;
  }

  async enabled(): Promise<this> {
    if (!this.envelope) await this.sync();
    expect(await this.say(0x06, 0x06)).toBe('f0');
    expect(await this.say(0x02, 0xff, 0x00)).toBe('f0');
    await this.say(this.envelope ? 0x56 : 0x07);
    expect(await this.say(0x0a)).toBe('f0');
    return this;
  }

  insert(denomination: number): void {
    this.device.control({ do: 'insert', denomination });
  }
}

test('reset and disabled at first; the next poll accepts the note, and credits it', async () => {
  const host = await new Host().sync();
  expect(await host.say(0x07)).toBe('f0f1e8');
  await host.enabled();
  expect(await host.say(0x07)).toBe('f0');
  host.insert(20);
  expect(await host.say(0x07)).toBe('f0ef00');
  await host.clock.advance(900);
  expect(await host.say(0x07)).toBe('f0ef05');
  expect(await host.say(0x07)).toBe('f0cc');
  await host.clock.advance(350);
  expect(await host.say(0x07)).toBe('f0ee05cc');
  expect(host.device.truth()).toMatchObject({ path: { 20: 1 }, cashbox: {} });
  await host.clock.advance(550);
  expect(await host.say(0x07)).toBe('f0eb');
  expect(host.device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 } });
  expect(await host.say(0x58)).toBe(`f005${'01000000'}${'00000000'.repeat(4)}`);
  expect(host.device.violations()).toEqual([]);
});

test('HOLD keeps a note, REJECT gives it back, and neither is taken without one', async () => {
  const host = await new Host().enabled();
  expect(await host.say(0x18)).toBe('f5');
  expect(await host.say(0x08)).toBe('f5');
  host.insert(50);
  await host.clock.advance(1000);
  expect(await host.say(0x07)).toBe('f0ef06');
  for (let round = 0; round < 5; round++) {
    expect(await host.say(0x18)).toBe('f0');
    await host.clock.advance(8000);
  }
  expect(await host.say(0x08)).toBe('f0');
  expect(await host.say(0x07)).toBe('f0ed');
  await host.clock.advance(700);
  expect(await host.say(0x07)).toBe('f0ec');
  expect(await host.say(0x17)).toBe('f008');
  expect(host.device.truth().customer).toEqual({ 50: 1 });
  expect(host.device.violations()).toEqual([]);
});

test('a poll before the value was given accepts nothing', async () => {
  const host = await new Host().enabled();
  host.insert(5);
  await host.clock.advance(1000);
  expect(await host.say(0x18)).toBe('f0');
  expect(await host.say(0x07)).toBe('f0ef03');
  expect(await host.say(0x18)).toBe('f0');
});

test('nothing heard for 10 s: the note goes back, and it is disabled', async () => {
  const host = await new Host().enabled();
  host.insert(20);
  await host.clock.advance(1000);
  await host.say(0x07);
  await host.clock.advance(9900);
  expect(host.device.truth().path).toEqual({ 20: 1 });
  await host.clock.advance(800);
  expect(host.device.truth().customer).toEqual({ 20: 1 });
  expect(await host.say(0x07)).toBe('f0e8ec');
  expect(await host.say(0x17)).toBe('f013');
  expect(() => host.insert(20)).toThrow('disabled');
});

test('the same sequence flag is a repetition: the same bytes again, and nothing is done', async () => {
  const host = await new Host().enabled();
  host.insert(20);
  await host.clock.advance(1000);
  const poll = encodeFrame(host.sequence, [0x07]);
  for (let count = 0; count < 5; count++) expect(await host.put(poll)).toBe('f0ef05');
  expect(await host.say(0x07)).toBe('f0ef05');
  expect(host.device.violations()).toEqual([]);
  host.sequence = host.sequence === 1 ? 0 : 1;
  expect(await host.say(0x18)).toBe('f0ef05');
  expect(host.device.violations()).toEqual([
    'a new command with the sequence flag of the last one',
  ]);
});

test('SYNC is always carried out, with either flag, and the next flag is clear', async () => {
  const host = new Host();
  for (const flag of [1, 0, 0, 1] as const) {
    expect(await host.put(encodeFrame(flag, [0x11]))).toBe('f0');
    expect(await host.put(encodeFrame(0, [0x0c]))).toBe('f0001c962c');
  }
  expect(host.device.violations()).toEqual([]);
});

test('without keys, a device that wants them answers FA to everything but SYNC and keys', async () => {
  const host = await new Host({ encryption: 'required' }).sync();
  for (const code of [0x05, 0x0c, 0x07, 0x56, 0x0a, 0x18, 0x01])
    expect(await host.say(code)).toBe('fa');
  expect(await host.say(0x4c, ...numberBytes(5n))).toBe('f8');
  expect(await host.say(0x4a, ...numberBytes(15n))).toBe('f4');
  expect(await host.say(0x4a, 1)).toBe('f3');
  await host.agree();
  expect(await host.say(0x0c)).toBe('f0001c962c');
  expect(host.count).toBe(1);
});

test('a full cycle under keys: the count rises, a wrong one is not answered', async () => {
  const host = await (await new Host({ encryption: 'required' }).agree()).enabled();
  host.insert(20);
  await host.clock.advance(1000);
  expect(await host.say(0x56)).toBe('f0ef05');
  await host.say(0x56);
  await host.clock.advance(1000);
  expect(await host.say(0x56)).toBe('f0ee05eb');
  const right = host.count;
  host.count = right + 5;
  expect(await host.say(0x56)).toBeUndefined();
  expect(host.device.violations().at(-1)).toContain(`where ${right} is due`);
  host.count = right;
  host.sequence = host.sequence === 1 ? 0 : 1;
  expect(await host.say(0x57)).toBe('f0');
});

test('a credit is encrypted whenever there are keys, and general words are answered in kind', async () => {
  const host = await (await new Host().agree()).enabled();
  const envelope = host.envelope;
  host.envelope = undefined;
  expect(await host.say(0x0c)).toBe('f0001c962c');
  host.insert(20);
  await host.clock.advance(1000);
  expect(await host.say(0x07)).toBe('f0ef05');
  await host.say(0x07);
  await host.clock.advance(1000);
  const reply = (await host.say(0x07)) ?? '';
  expect(reply.slice(0, 2)).toBe('7e');
  const opened = envelope?.open(Buffer.from(reply, 'hex'));
  expect(Buffer.from(opened?.data ?? []).toString('hex')).toBe('f0ee05eb');
  expect(await host.say(0x56)).toBe('f5');
});

test('POLL WITH ACK repeats a credit until EVENT ACK, and takes no note meanwhile', async () => {
  const host = await new Host({ encryption: 'none' }).enabled();
  host.insert(20);
  await host.clock.advance(1000);
  await host.say(0x56);
  await host.say(0x56);
  await host.clock.advance(1000);
  for (let count = 0; count < 3; count++) expect(await host.say(0x56)).toBe('f0ee05eb');
  expect(() => host.insert(5)).toThrow('not acknowledged');
  expect(await host.say(0x57)).toBe('f0');
  expect(await host.say(0x57)).toBe('f5');
  expect(await host.say(0x56)).toBe('f0');
  host.insert(5);
  expect(await new Host({ pollWithAck: false }).say(0x56)).toBe('fa');
  expect(await new Host({ pollWithAck: false, encryption: 'none' }).say(0x56)).toBe('f2');
});

test('power-up events tell where the note went, to a host of protocol 5 or above', async () => {
  for (const [waitMs, event] of [
    [100, 'f0f1e105e8'],
    [400, 'f0f1e205e8'],
  ] as const) {
    const host = await new Host().enabled();
    host.insert(20);
    await host.clock.advance(1000);
    await host.say(0x07);
    await host.say(0x07);
    await host.clock.advance(waitMs);
    host.device.control({ do: 'power', on: false });
    expect(await host.say(0x07)).toBeUndefined();
    host.device.control({ do: 'power', on: true });
    await host.clock.advance(3000);
    await host.sync();
    expect(await host.say(0x05)).toMatch(/04$/);
    await host.say(0x06, 0x06);
    expect(await host.say(0x07)).toBe(event);
    expect(host.device.truth().path).toEqual({});
  }
});

test('while it starts it says so to POLL WITH ACK alone', async () => {
  const host = new Host({ encryption: 'none' });
  expect(await host.say(0x01)).toBe('f0');
  await host.clock.advance(1100);
  await host.sync();
  expect(await host.say(0x07)).toBe('f0');
  expect(await host.say(0x56)).toBe('f0b6');
  expect(await host.say(0x0a)).toBe('f5');
  await host.clock.advance(1600);
  expect(await host.say(0x56)).toBe('f0f1e8');
});

test('the setup tells values by channel; a wide dataset only in four bytes', async () => {
  const host = await new Host().sync();
  expect((await host.say(0x05))?.slice(2, 30)).toBe('0030343134555344000001070102');
  const notes = [{ channel: 1, currency: 'EUR', denomination: 500 }];
  const wide = await new Host({ notes }).sync();
  await wide.say(0x06, 0x06);
  expect(await wide.say(0x05)).toBe(
    `f000${Buffer.from('0414EUR').toString('hex')}00000001000000006406455552f4010000`,
  );
});

test('a protocol version that it has not is refused', async () => {
  const host = await new Host({ protocolMax: 5 }).sync();
  expect(await host.say(0x06, 6)).toBe('f8');
  expect(await host.say(0x06, 5)).toBe('f0');
});

test('jams, a full box, an open path and a box that is out are said while they last', async () => {
  const host = await new Host().enabled();
  host.device.control({ do: 'fault', name: 'pathOpen' });
  expect(await host.say(0x07)).toBe('f0e8e0');
  expect(await host.say(0x07)).toBe('f0e0e8');
  expect(await host.say(0x0a)).toBe('f5');
  host.device.control({ do: 'fault', name: 'pathOpen', times: 0 });
  host.device.control({ do: 'cashbox', present: false });
  expect(await host.say(0x07)).toBe('f0e3e8');
  host.device.control({ do: 'cashbox', present: true });
  expect(await host.say(0x07)).toBe('f0e4e8');
  expect(await host.say(0x0a)).toBe('f0');
  host.device.control({ do: 'fault', name: 'jamStacker' });
  host.insert(20);
  await host.clock.advance(1000);
  await host.say(0x07);
  await host.say(0x07);
  await host.clock.advance(400);
  expect(await host.say(0x07)).toBe('f0e8ea');
  host.device.control({ do: 'take' });
  expect(await host.say(0x07)).toBe('f0eae8');
  expect(await host.say(0x01)).toBe('f0');
  await host.clock.advance(3000);
  await host.sync();
  expect(await host.say(0x07)).toBe('f0f1e8');
  expect(host.device.truth().customer).toEqual({ 20: 1 });
});

test('what is out of turn is answered by the protocol and written down', async () => {
  const host = await new Host().enabled();
  expect(await host.say(0x77)).toBe('f2');
  expect(await host.say(0x33, 1, 0, 0, 0)).toBe('fa');
  expect(await host.say(0x06)).toBe('f3');
  host.insert(20);
  await host.clock.advance(1000);
  expect(await host.say(0x07)).toBe('f0ef05');
  expect(await host.say(0x09)).toBe('f0');
  host.device.receive(encodeFrame(host.sequence, [0x07]));
  host.device.receive(encodeFrame(host.sequence === 1 ? 0 : 1, [0x0c]));
  host.device.receive(Uint8Array.of(1, 2, 3));
  host.device.receive(encodeFrame(0, [0x07], 0x10));
  expect(host.device.violations()).toEqual([
    'command 77: no such command',
    'command 06 with 0 bytes',
    'DISABLE while a note is in escrow: it is given back',
    'command 0C before the last one was answered',
    '3 bytes that are no frame',
  ]);
});

test('hands cannot do what makes no sense', () => {
  const { device } = new Host();
  expect(() => device.control({ do: 'take' })).toThrow('nothing to take');
  expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow('disabled');
  expect(() => device.control({ do: 'fault', name: 'gremlins' })).toThrow('no fault');
  expect(() => device.control({ do: 'cassette', position: 1 })).toThrow('no cassettes');
});
