import { verifyEvent } from 'nostr-tools/pure';
import { describe, expect, test } from 'vitest';
import { kinds } from '#protocol/event.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { bunkerRig } from '#test/support/bunker-rig.ts';
import { honest, refusing, silent } from '#test/support/hostile-bunker.ts';

const call = (content = 'hello') => ({
  kind: kinds.rpc,
  created_at: 1_795_000_000,
  tags: [
    ['p', 'aa'.repeat(32)],
    ['expiration', '1795000300'],
  ],
  content,
});
const document = { ...call(), kind: kinds.document };
const url = 'https://bunker.example/allow';

const kindOf = (request: { params: readonly string[] }): number =>
  JSON.parse(request.params[0] ?? '{}').kind;

describe('a healthy bunker', () => {
  test('signs exactly what it was asked for', async () => {
    const { signer, clock } = bunkerRig();
    const event = await clock.resolve(signer.sign(call()));
    expect(event).toMatchObject({ ...call(), pubkey: signer.pubkey });
    expect(verifyEvent({ ...event })).toBe(true);
    expect(signer.health()).toEqual({ kind: 'ok', atMonotonicMs: clock.monotonic() });
  });

  test('encrypts and decrypts', async () => {
    const { signer, clock, crypto, random } = bunkerRig();
    const peer = random.bytes(32);
    const payload = await clock.resolve(signer.encrypt(crypto.publicKeyOf(peer), 'to you'));
    expect(crypto.decrypt(peer, signer.pubkey, payload)).toBe('to you');
    const answer = crypto.encrypt(peer, signer.pubkey, 'to me');
    expect(await clock.resolve(signer.decrypt(crypto.publicKeyOf(peer), answer))).toBe('to me');
  });

  test('takes 24,576 bytes and not one more, before anything is sent', async () => {
    const { signer, clock, bunker } = bunkerRig();
    await clock.resolve(signer.encrypt(signer.pubkey, 'x'.repeat(24_576)));
    expect(bunker.heard).toHaveLength(1);
    for (const text of ['x'.repeat(24_577), 'é'.repeat(12_289), '']) {
      await expect(signer.encrypt(signer.pubkey, text)).rejects.toMatchObject({
        name: 'SignerError',
        code: 'invalidData',
      });
    }
    await expect(signer.sign(call('x'.repeat(41_000)))).rejects.toMatchObject({
      name: 'SignerError',
      code: 'invalidData',
    });
    await clock.advance(60_000);
    expect(bunker.heard).toHaveLength(1);
    expect(signer.health().kind).not.toBe('silent');
  });

  test('the probe is one kind 21000 signature that is never published', async () => {
    const { signer, clock, bunker, network } = bunkerRig();
    const published: number[] = [];
    network.client().subscribe({}, { event: ({ kind }) => void published.push(kind) });
    expect(await clock.resolve(signer.probe())).toMatchObject({ kind: 'ok' });
    expect(bunker.methods).toEqual(['sign_event']);
    expect(bunker.heard.map(kindOf)).toEqual([kinds.rpc]);
    await clock.advance(1_000);
    expect(published).toEqual([kinds.remoteSigning, kinds.remoteSigning]);
  });

  test('probes at the same time are one', async () => {
    const { signer, clock, bunker } = bunkerRig();
    await clock.resolve(Promise.all([signer.probe(), signer.probe(), signer.probe()]));
    expect(bunker.heard).toHaveLength(1);
  });
});

describe('a bunker that changes what it signs', () => {
  test.each([
    ['the kind', { kind: 1 }, 'the kind differs'],
    ['created_at', { created_at: 1_795_000_001 }, 'created_at differs'],
    ['the content', { content: 'other' }, 'the content differs'],
    ['a tag added', { tags: [...call().tags, ['d', 'random']] }, 'the tags differ'],
    ['a tag dropped', { tags: [['p', 'aa'.repeat(32)]] }, 'the tags differ'],
    ['tags in another order', { tags: call().tags.toReversed() }, 'the tags differ'],
  ])('%s: refused', async (_name, change, reason) => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.alter = (template) => ({ ...template, ...change });
    const error = await clock.resolve(signer.sign(call()).catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ name: 'SignerError', code: 'fraudAttempt' });
    expect(String(error)).toContain(reason);
  });

  test.each([
    ['another key', 'another key signed'],
    ['a signature of another event', 'id or signature is wrong'],
    ['an id of another event', 'id or signature is wrong'],
    ['an upper-case id', 'id or signature is wrong'],
    ['no event', 'it is no event'],
  ])('%s: refused', async (name, reason) => {
    const { signer, clock, bunker, crypto, random } = bunkerRig();
    const good = bunker.sign(call());
    const other = bunker.sign(call('other'));
    const results: Record<string, unknown> = {
      'another key': crypto.sign(random.bytes(32), call()),
      'a signature of another event': { ...good, sig: other.sig },
      'an id of another event': { ...good, id: other.id },
      'an upper-case id': { ...good, id: good.id.toUpperCase() },
      'no event': 'signed',
    };
    bunker.behaviour = (request) =>
      bunker.reply(request, { result: JSON.stringify(results[name]) });
    const error = await clock.resolve(signer.sign(call()).catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ name: 'SignerError', code: 'fraudAttempt' });
    expect(String(error)).toContain(reason);
    expect(signer.health().kind).toBe('unknown');
  });

  test('when even the probe is altered, the pairing is in doubt', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.alter = (template) => ({ ...template, content: 'other' });
    expect(await clock.resolve(signer.probe())).toMatchObject({
      kind: 'refused',
      reason: expect.stringMatching(/^Pairing Required: .*the content differs/),
    });
  });

  test('a payload that is none is refused', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = (request) => bunker.reply(request, { result: 'hello' });
    const error = await clock.resolve(
      signer.encrypt(signer.pubkey, 'text').catch((thrown: unknown) => thrown),
    );
    expect(error).toMatchObject({ name: 'SignerError', code: 'invalidData' });
  });
});

describe('health and the breaker', () => {
  test('a dead bunker: calls fail at once, and it hears only a few probes', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = silent;
    const told: string[] = [];
    signer.onHealth(({ kind }) => void told.push(kind));
    const error = await clock.resolve(signer.sign(call()).catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ code: 'timeOut', health: { kind: 'silent' } });
    expect(String(error)).toContain('Signer Unreachable: no answer in 30 s');
    await clock.until(() => signer.health().kind === 'silent');
    const heardBefore = bunker.heard.length;
    const atMs = clock.monotonic();
    for (let i = 0; i < 100; i++) await expect(signer.sign(call())).rejects.toThrow(SignerError);
    expect(clock.monotonic()).toBe(atMs);
    expect(bunker.heard).toHaveLength(heardBefore);
    // One hour: each probe is two events in 30 s, and up to 60 s pass between probes.
    await clock.advance(3_600_000);
    const perHour = bunker.heard.length - heardBefore;
    expect(perHour).toBeGreaterThan(70);
    expect(perHour).toBeLessThan(140);
    expect(told).toEqual(['silent']);
  });

  test('the probe closes the breaker within about a minute of the bunker being back', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = silent;
    await clock.resolve(signer.probe());
    await clock.advance(600_000);
    bunker.behaviour = honest;
    const backAtMs = clock.monotonic();
    await clock.until(() => signer.health().kind === 'ok');
    expect(clock.monotonic() - backAtMs).toBeLessThan(75_000);
    expect(await clock.resolve(signer.sign(call()))).toMatchObject(call());
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });

  test('a refusal: Pairing Required, asked again ever more rarely', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = refusing('Not authorized');
    expect(await clock.resolve(signer.probe())).toEqual({
      kind: 'refused',
      reason: 'Pairing Required: Not authorized',
    });
    await expect(signer.sign(call())).rejects.toMatchObject({ code: 'refused' });
    await clock.advance(3_600_000);
    expect(bunker.heard.length).toBeGreaterThan(5);
    expect(bunker.heard.length).toBeLessThan(20);
  });

  test('a bad verdict is not asked for again within 5 s, however often', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = refusing('Not authorized');
    for (let i = 0; i < 50; i++) await clock.resolve(signer.probe());
    expect(bunker.heard).toHaveLength(1);
    await clock.advance(5_000);
    await clock.resolve(signer.probe());
    expect(bunker.heard).toHaveLength(2);
  });

  test.each([
    ['silence', silent],
    ['refusal', refusing('Not authorized')],
  ])('%s about one kind does not condemn the signer', async (_name, behaviour) => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = (request) =>
      (kindOf(request) === kinds.rpc ? honest : behaviour)(request, bunker);
    const error = await clock.resolve(signer.sign(document).catch((thrown: unknown) => thrown));
    expect(error).toBeInstanceOf(SignerError);
    await clock.advance(1_000);
    expect(signer.health().kind).toBe('ok');
    expect(await clock.resolve(signer.sign(call()))).toMatchObject(call());
  });

  test('a signed document does not hide that calls are refused', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = (request) =>
      (kindOf(request) === kinds.rpc ? silent : honest)(request, bunker);
    await clock.resolve(signer.sign(document));
    expect(signer.health().kind).toBe('unknown');
    expect(await clock.resolve(signer.probe())).toMatchObject({ kind: 'silent' });
  });

  test('what does not decrypt is refused and the signer stays in service', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = (request) =>
      request.method === 'nip44_decrypt'
        ? bunker.reply(request, { error: 'invalid MAC' })
        : honest(request, bunker);
    const error = await clock.resolve(
      signer.decrypt(signer.pubkey, 'AgAA').catch((thrown: unknown) => thrown),
    );
    expect(String(error)).toContain('invalid MAC');
    await clock.advance(1_000);
    expect(signer.health().kind).toBe('ok');
  });

  test('empty answers are Signer Unreachable', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = (request) => bunker.reply(request, { result: null });
    expect(await clock.resolve(signer.probe())).toEqual({
      kind: 'silent',
      reason: 'Signer Unreachable: the result is empty',
    });
    bunker.behaviour = (request) => bunker.reply(request, { result: '' });
    await clock.advance(6_000);
    expect(signer.health().kind).toBe('silent');
  });

  test('what comes while a probe decides waits for its verdict', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = silent;
    const first = signer.sign(call()).catch((thrown: unknown) => thrown);
    await clock.advance(30_500);
    expect(bunker.methods).toEqual(['sign_event', 'sign_event', 'sign_event']);
    const second = signer.sign(call('second')).catch((thrown: unknown) => thrown);
    await clock.resolve(Promise.all([first, second]));
    expect(bunker.heard.filter(({ params }) => params[0]?.includes('second'))).toEqual([]);
  });
});

describe('auth_url', () => {
  test('the address is told at once, and the person’s visit opens the signer again', async () => {
    const { signer, clock, bunker } = bunkerRig();
    const told: SignerHealth[] = [];
    signer.onHealth((health) => void told.push(health));
    bunker.script.push(async (request) => {
      await bunker.reply(request, { result: 'auth_url', error: url });
      clock.after(60_000, () => void honest(request, bunker));
    });
    const error = await clock.resolve(signer.sign(call()).catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ code: 'refused', health: { kind: 'authUrl', url } });
    expect(String(error)).toContain(url);
    expect(clock.monotonic()).toBeLessThan(1_000);
    expect(signer.health()).toEqual({ kind: 'authUrl', url });
    await expect(signer.sign(call())).rejects.toThrow(url);
    await clock.until(() => signer.health().kind === 'ok');
    expect(clock.monotonic()).toBeLessThan(62_000);
    expect(told.map(({ kind }) => kind)).toEqual(['authUrl', 'ok']);
  });
});

describe('close', () => {
  test('rejects what waits with code canceled, also a probe, and leaves no timer', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = silent;
    const ends = Promise.allSettled([
      signer.sign(call()),
      signer.encrypt(signer.pubkey, 'text'),
      signer.probe(),
    ]);
    await clock.advance(1_000);
    await signer.close();
    for (const end of await ends) {
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'canceled' } });
    }
    await expect(signer.sign(call())).rejects.toMatchObject({ code: 'canceled' });
    await expect(signer.probe()).rejects.toMatchObject({ code: 'canceled' });
    await clock.advance(20_000);
    expect(clock.pending).toBe(0);
  });

  test('ends the probes of an open breaker', async () => {
    const { signer, clock, bunker } = bunkerRig();
    bunker.behaviour = silent;
    await clock.resolve(signer.probe());
    expect(clock.pending).toBe(1);
    await signer.close();
    await clock.advance(600_000);
    expect(clock.pending).toBe(0);
    expect(bunker.heard).toHaveLength(2);
  });
});
