import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import type { SignedEvent } from '#protocol/event.ts';
import { honest, openLink as open, type SimulatedSocket } from './simulated-relay.ts';
import { listen, signed } from './stub-relay.ts';

describe('authentication', () => {
  const template = (challenge: string, url: string) =>
    signed({
      kind: 22_242,
      tags: [
        ['relay', url],
        ['challenge', challenge],
      ],
    });

  /** A relay that serves only who has answered its challenge. */
  function guarded(challenge = 'c1') {
    const authenticated = new Set<SimulatedSocket>();
    return ([type, first]: readonly unknown[], socket: SimulatedSocket) => {
      if (type === 'AUTH') authenticated.add(socket);
      if (type === 'AUTH' || authenticated.has(socket)) {
        honest([type, first], socket);
        return;
      }
      if (type === 'REQ') socket.say('CLOSED', first, 'auth-required: who?');
      if (type === 'EVENT')
        socket.say('OK', (first as SignedEvent).id, false, 'auth-required: who?');
      socket.say('AUTH', challenge);
    };
  }

  it('answers a challenge when it is needed, once, and repeats what was refused', async () => {
    const asked: string[] = [];
    const { relay, link, clock } = await open({
      auth: async (challenge, url) => {
        asked.push(`${challenge} ${url}`);
        return template(challenge, url);
      },
    });
    relay.answer = guarded();
    relay.socket.say('AUTH', 'c1');
    await clock.advance(5_000);
    expect(asked).toEqual([]);
    const heard = listen();
    link.subscribe({ kinds: [1] }, heard);
    const result = link.publish(signed());
    expect(await result).toMatchObject([{ outcome: 'accepted' }]);
    expect(link.ready()).toBe(true);
    expect(heard.ends.rest).toHaveLength(1);
    expect(asked).toEqual(['c1 wss://relay.example']);
    const [auth] = relay.socket.ofType('AUTH');
    expect(auth?.[1]).toMatchObject({ tags: [expect.anything(), ['challenge', 'c1']] });
  });

  it('answers for an event alone too, when the challenge comes after the refusal', async () => {
    const { relay, link } = await open({ auth: async (...args) => template(...args) });
    relay.answer = guarded();
    expect(await link.publish(signed())).toMatchObject([{ outcome: 'accepted' }]);
    expect(relay.socket.ofType('EVENT')).toHaveLength(2);
  });

  it('answers when a relay says nothing at all until it is answered', async () => {
    const { relay, link, clock } = await open({ auth: async (...args) => template(...args) });
    relay.answer = (message, socket) => {
      if (message[0] === 'AUTH' || socket.ofType('AUTH').length > 0) honest(message, socket);
    };
    relay.socket.say('AUTH', 'c1');
    link.subscribe({ kinds: [1] }, listen());
    await clock.advance(5_000);
    expect(link.ready()).toBe(true);
  });

  it('without a signer leaves the refusal as it is', async () => {
    const { relay, link, clock } = await open();
    relay.answer = guarded();
    expect(await link.publish(signed())).toMatchObject([
      { outcome: 'refused', reason: 'auth-required: who?' },
    ]);
    link.subscribe({ kinds: [1] }, listen());
    await clock.advance(100);
    expect(relay.socket.ofType('REQ')).toHaveLength(2);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('kind 22242 not granted')), 0],
    [
      'throws',
      () => {
        throw new Error('kind 22242 not granted');
      },
      0,
    ],
    ['never answers', () => new Promise<SignedEvent>(() => undefined), 35_000],
  ])('hangs nothing when the signer %s', async (_what, auth, silentMs) => {
    const { relay, link, clock } = await open({ auth });
    relay.answer = guarded();
    link.subscribe({ kinds: [1] }, listen());
    const bounded = link.publish(signed());
    const patient = link.publish(signed(), 60_000);
    await clock.advance(10_000);
    await bounded;
    await clock.advance(silentMs);
    const [result] = await patient;
    expect(result?.outcome).toBe('refused');
    expect(result?.reason).toMatch(/^auth-required: who\? \(authentication failed: no signature/);
    const asked = relay.socket.ofType('REQ').length;
    await clock.advance(60_000);
    expect(relay.socket.ofType('REQ').length).toBeGreaterThan(asked);
    await link.close();
    expect(clock.pending).toBe(0);
  });

  it('ignores a signature that comes after the connection it was for', async () => {
    const signatures: ((event: SignedEvent) => void)[] = [];
    const { relay, link, clock } = await open({
      auth: () => new Promise((resolve) => signatures.push(resolve)),
    });
    relay.answer = guarded();
    link.subscribe({ kinds: [1] }, listen());
    await clock.advance(10);
    relay.socket.end('gone');
    await clock.advance(250);
    signatures[0]?.(template('c1', 'wss://relay.example'));
    await clock.advance(10);
    expect(relay.sockets.flatMap((socket) => socket.ofType('AUTH'))).toEqual([]);
    signatures[1]?.(template('c1', 'wss://relay.example'));
    await clock.advance(10);
    expect(link.ready()).toBe(true);
  });

  it('waits for a challenge that never comes only so long', async () => {
    const { relay, link, clock } = await open({ auth: async (...args) => template(...args) });
    relay.answer = ([, event], socket) => {
      socket.say('OK', (event as SignedEvent).id, false, 'auth-required: who?');
    };
    const result = link.publish(signed(), 20_000);
    await clock.advance(10_000);
    expect(await result).toMatchObject([
      {
        outcome: 'refused',
        reason: 'auth-required: who? (authentication failed: the relay sent no challenge)',
      },
    ]);
  });

  it('starts over on a new connection with what was held back on the old one', async () => {
    const { relay, link, clock } = await open({ auth: () => new Promise(() => undefined) });
    relay.answer = guarded();
    link.subscribe({ kinds: [1] }, listen());
    const result = link.publish(signed());
    await clock.advance(5_000);
    expect(relay.socket.ofType('EVENT')).toHaveLength(1);
    relay.answer = honest;
    relay.socket.end('gone');
    await clock.advance(200);
    expect(await result).toMatchObject([{ outcome: 'accepted' }]);
    expect(link.ready()).toBe(true);
  });

  it('tells why when the relay refuses the AUTH or does not answer it', async () => {
    for (const [words, reason] of [
      ['restricted: not a member', 'refused: restricted: not a member'],
      [undefined, 'no answer to AUTH within 10000 ms'],
    ]) {
      const { relay, link, clock } = await open({ auth: async (...args) => template(...args) });
      const guard = guarded();
      relay.answer = (message, socket) => {
        if (message[0] !== 'AUTH') guard(message, socket);
        else if (words) socket.say('OK', (message[1] as SignedEvent).id, false, words);
      };
      const result = link.publish(signed(), 20_000);
      await clock.advance(10_000);
      expect(await result).toMatchObject([
        { outcome: 'refused', reason: `auth-required: who? (authentication failed: ${reason})` },
      ]);
    }
  });

  it('does not let a relay spend the budget of the signer with ever new challenges', async () => {
    let signatures = 0;
    const { relay, link, clock } = await open({
      random: systemRandom,
      auth: async (...args) => {
        signatures += 1;
        return template(...args);
      },
    });
    let challenges = 0;
    relay.answer = ([type, first], socket) => {
      if (type === 'EVENT') {
        socket.say('AUTH', `c${++challenges}`);
        socket.say('OK', (first as SignedEvent).id, false, 'auth-required: again');
      } else honest([type, first], socket);
    };
    for (let second = 0; second < 300; second++) {
      void link.publish(signed({ created_at: second }), 1_000);
      await clock.advance(1_000);
    }
    expect(challenges).toBeGreaterThan(200);
    expect(signatures).toBeGreaterThan(0);
    expect(signatures).toBeLessThan(25);
  });
});
