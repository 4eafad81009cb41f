import { describe, expect, test } from 'vitest';
import type { Clock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { DocumentVersion } from '#protocol/documents/document.ts';
import { DocumentInbox, FUTURE_MAX_SEC, type InboxReport } from '#protocol/documents/inbox.ts';
import type { IncomingTypeName } from '#protocol/documents/registry.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import type { SubscriptionListener } from '#protocol/relay/relay.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { crypto, keyOf, makeSigner, operatorKey, operatorPubkey } from '../rpc/rig.ts';

interface Written {
  readonly key?: Uint8Array;
  readonly createdAtSec?: number;
  readonly tags?: string[][];
  readonly content?: string;
}

function makeRig() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({
    clock,
    verify: verifySignature,
    rules: { futureMaxSec: undefined },
  });
  const line = network.client();
  const operator = network.client();
  const signer = makeSigner(clock);
  const marks = new Map<IncomingTypeName, DocumentVersion>();
  const reports: InboxReport[] = [];
  let nowOffsetMs = 0;
  const corrected: Clock = {
    now: () => clock.now() + nowOffsetMs,
    monotonic: () => clock.monotonic(),
    after: (delayMs, task) => clock.after(delayMs, task),
  };
  const makeInbox = (relays = line) =>
    new DocumentInbox({
      relays,
      signer,
      operatorPubkey,
      clock: corrected,
      log: silentLog,
      watermarks: marks,
    });
  const inbox = makeInbox();
  const write = (name: string, content: unknown, written: Written = {}): SignedEvent => {
    const { key = operatorKey } = written;
    return crypto.sign(key, {
      kind: kinds.document,
      created_at: written.createdAtSec ?? Math.floor(clock.now() / 1000),
      tags: written.tags ?? [
        ['d', `${name}:${signer.pubkey}`],
        ['p', signer.pubkey],
      ],
      content: written.content ?? crypto.encrypt(key, signer.pubkey, JSON.stringify(content)),
    });
  };
  return {
    clock,
    network,
    line,
    signer,
    marks,
    reports,
    inbox,
    makeInbox,
    write,
    correctClock: (offsetMs: number) => {
      nowOffsetMs = offsetMs;
    },
    open: () => inbox.open((report) => reports.push(report)),
    /** What the operator publishes, as the relay takes it. */
    publish: async (...events: SignedEvent[]) => {
      for (const event of events) void operator.publish(event);
      await clock.advance(1_000);
    },
    /** Takes the relay's place: what is delivered comes unchecked, and in that order. */
    intercept: () => {
      const listeners: SubscriptionListener[] = [];
      line.subscribe = (_filter, listener) => {
        listeners.push(listener);
        return () => undefined;
      };
      return (...events: readonly SignedEvent[]) => {
        for (const event of events) for (const listener of listeners) listener.event(event, false);
      };
    },
    silenceSigner: () => {
      const decrypt = signer.decrypt.bind(signer);
      let tries = 0;
      signer.decrypt = () => {
        tries++;
        return Promise.reject(new SignerError({ kind: 'silent', reason: 'away' }, 'decrypt'));
      };
      return {
        tries: () => tries,
        speak: () => {
          signer.decrypt = decrypt;
        },
      };
    },
  };
}

const limit = (max: number | null) => ({ schema_version: 1, max_cash_in_sats: max });

/** The caps that were accepted, in order. */
const caps = (reports: readonly InboxReport[]) =>
  reports.flatMap((report) =>
    report.kind === 'accepted' && report.document.type === 'limits'
      ? [report.document.maxCashInSats]
      : [],
  );

const reasons = (reports: readonly InboxReport[]) =>
  reports.flatMap((report) => (report.kind === 'refused' ? [report.reason] : []));

describe('what is heard', () => {
  test('documents that were there before, and those that come, one after the other', async () => {
    const rig = makeRig();
    const fees = { schema_version: 1, cash_in_fee_fraction: 0.1, cash_out_fee_fraction: 0.1 };
    const cassettes = { positions: { '1': { denomination: 20, count: 5 } } };
    await rig.publish(rig.write('bitspire-fees', fees), rig.write('bitspire-cassettes', cassettes));
    rig.open();
    await rig.clock.advance(1_000);
    const event = rig.write('bitspire-limits', limit(7));
    await rig.publish(event);
    expect(rig.reports.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(rig.reports[2]).toEqual({
      kind: 'accepted',
      document: { type: 'limits', maxCashInSats: 7 },
      text: JSON.stringify(limit(7)),
      event,
    });
  });

  test('only the operator, only what is addressed to us', async () => {
    const rig = makeRig();
    rig.open();
    const d = ['d', `bitspire-limits:${rig.signer.pubkey}`];
    await rig.publish(
      rig.write('bitspire-limits', limit(1), { key: keyOf('somebody') }),
      rig.write('bitspire-unknown', limit(2)),
      rig.write('bitspire-limits', limit(3), {
        tags: [['d', `bitspire-limits:${'aa'.repeat(32)}`]],
      }),
    );
    expect(rig.reports).toEqual([]);
    await rig.publish(
      rig.write('bitspire-limits', limit(4), { tags: [d, ['p', 'bb'.repeat(32)]] }),
    );
    expect(reasons(rig.reports)).toEqual(['it is not addressed to this machine']);
    expect(caps(rig.reports)).toEqual([]);
  });

  test('another author does not count although a relay delivers it unasked', async () => {
    const rig = makeRig();
    const deliver = rig.intercept();
    rig.open();
    deliver(rig.write('bitspire-limits', limit(null), { key: keyOf('somebody') }));
    await rig.clock.advance(1_000);
    expect(rig.reports).toEqual([]);
  });

  test('heads are judged again after a reconnect, and told once', async () => {
    const rig = makeRig();
    rig.open();
    await rig.publish(rig.write('bitspire-limits', limit(1)));
    rig.line.partition();
    await rig.publish(rig.write('bitspire-limits', limit(2)));
    expect(caps(rig.reports)).toEqual([1]);
    rig.line.heal();
    await rig.clock.advance(1_000);
    expect(caps(rig.reports)).toEqual([1, 2]);
  });
});

describe('order', () => {
  test('in one second the lowest id wins, in whichever order they come', async () => {
    for (const reverse of [false, true]) {
      const rig = makeRig();
      // Two relays, each with another head; the inbox gets both.
      const both = [rig.write('bitspire-limits', limit(1)), rig.write('bitspire-limits', limit(2))];
      both.sort((a, b) => (a.id < b.id ? -1 : 1));
      const lowest = both[0];
      const deliver = rig.intercept();
      rig.open();
      deliver(...(reverse ? both.reverse() : both));
      await rig.clock.advance(1_000);
      expect(rig.reports.at(-1)?.event.id).toBe(lowest?.id);
      expect(rig.reports).toHaveLength(reverse ? 2 : 1);
    }
  });

  test('what is older than the watermark, or equal to it, is not told again', async () => {
    const rig = makeRig();
    const nowSec = Math.floor(rig.clock.now() / 1000);
    const applied = rig.write('bitspire-limits', limit(1), { createdAtSec: nowSec - 10 });
    rig.marks.set('limits', { createdAt: nowSec - 10, eventId: applied.id });
    await rig.publish(applied);
    rig.open();
    await rig.clock.advance(1_000);
    const other = rig.makeInbox(rig.network.client());
    other.open((report) => rig.reports.push(report));
    await rig.clock.advance(1_000);
    expect(rig.reports).toEqual([]);
    await rig.publish(rig.write('bitspire-limits', limit(2), { createdAtSec: nowSec - 9 }));
    expect(caps(rig.reports)).toEqual([2, 2]);
  });

  test('an older document does not follow a newer one that is not applied yet', async () => {
    const rig = makeRig();
    const nowSec = Math.floor(rig.clock.now() / 1000);
    const deliver = rig.intercept();
    rig.open();
    const newer = rig.write('bitspire-limits', limit(2), { createdAtSec: nowSec });
    const older = rig.write('bitspire-limits', limit(1), { createdAtSec: nowSec - 1 });
    deliver(newer, older);
    await rig.clock.advance(1_000);
    expect(caps(rig.reports)).toEqual([2]);
  });
});

describe('time', () => {
  test('a document dated 2100 is refused and holds no place', async () => {
    const rig = makeRig();
    const deliver = rig.intercept();
    rig.open();
    const far = rig.write('bitspire-limits', limit(0), { createdAtSec: 4_102_444_800 });
    const present = rig.write('bitspire-limits', limit(5));
    deliver(far, present);
    await rig.clock.advance(1_000);
    expect(reasons(rig.reports)).toEqual([expect.stringMatching(/^dated \d+ s in the future/)]);
    expect(caps(rig.reports)).toEqual([5]);
    rig.inbox.recheck();
    await rig.clock.advance(1_000);
    expect(caps(rig.reports)).toEqual([5]);
    expect(reasons(rig.reports)).toHaveLength(2);
  });

  test('15 minutes ahead is taken, a second more is judged again after a correction', async () => {
    const rig = makeRig();
    rig.open();
    const nowSec = Math.floor(rig.clock.now() / 1000);
    const edge = rig.write('bitspire-limits', limit(1), { createdAtSec: nowSec + FUTURE_MAX_SEC });
    await rig.publish(edge);
    expect(caps(rig.reports)).toEqual([1]);
    const ahead = nowSec + FUTURE_MAX_SEC + 60;
    await rig.publish(rig.write('bitspire-limits', limit(2), { createdAtSec: ahead }));
    expect(caps(rig.reports)).toEqual([1]);
    // Our clock was an hour slow.
    rig.correctClock(3_600_000);
    rig.inbox.recheck();
    await rig.clock.advance(1_000);
    expect(caps(rig.reports)).toEqual([1, 2]);
    rig.inbox.recheck();
    await rig.clock.advance(1_000);
    expect(rig.reports).toHaveLength(3);
  });
});

describe('what cannot be read', () => {
  test('is refused with a reason, and the last good one stays', async () => {
    const rig = makeRig();
    rig.open();
    await rig.publish(rig.write('bitspire-limits', limit(1)));
    const old = { denominations: { '20': { position: 1, count: 3 } } };
    await rig.publish(
      rig.write('bitspire-cassettes', old),
      rig.write('bitspire-limits', { schema_version: 9, max_cash_in_sats: 1 }),
    );
    expect(rig.reports.slice(1)).toMatchObject([
      { kind: 'refused', type: 'cassettes', reason: expect.stringContaining('old shape') },
      { kind: 'refused', type: 'limits', reason: 'schema_version 9 is not known, only 1 is' },
    ]);
    expect(caps(rig.reports)).toEqual([1]);
  });

  test('nor decrypted is refused, and judged again when asked', async () => {
    const rig = makeRig();
    rig.open();
    await rig.publish(rig.write('bitspire-limits', limit(1), { content: 'no ciphertext' }));
    expect(reasons(rig.reports)).toEqual([expect.stringMatching(/^not decrypted/)]);
    await rig.publish(rig.write('bitspire-limits', null, { content: 'A'.repeat(70_000) }));
    expect(rig.reports).toHaveLength(2);
    const decrypt = rig.signer.decrypt.bind(rig.signer);
    rig.signer.decrypt = () =>
      Promise.reject(new SignerError({ kind: 'refused', reason: 'revoked' }, 'nip44_decrypt'));
    await rig.publish(rig.write('bitspire-limits', limit(3)));
    rig.signer.decrypt = decrypt;
    rig.inbox.recheck();
    await rig.clock.advance(1_000);
    expect(caps(rig.reports)).toEqual([3]);
  });

  test('because the signer is silent waits for it, without a flood of tries', async () => {
    const rig = makeRig();
    rig.open();
    const signer = rig.silenceSigner();
    await rig.publish(rig.write('bitspire-limits', limit(1)));
    await rig.publish(rig.write('bitspire-limits', limit(2)));
    await rig.clock.advance(3_600_000);
    expect(rig.reports).toEqual([]);
    // 5 s, 15 s, 60 s, then every five minutes, for the newest alone; two tries when they came.
    expect(signer.tries()).toBeLessThanOrEqual(2 + 3 + 12);
    signer.speak();
    await rig.clock.advance(300_000);
    expect(caps(rig.reports)).toEqual([2]);
    expect(rig.clock.pending).toBe(0);
  });

  test('after the close is not told and leaves no timer', async () => {
    const rig = makeRig();
    rig.open();
    const signer = rig.silenceSigner();
    await rig.publish(rig.write('bitspire-limits', limit(1)));
    rig.inbox.close();
    signer.speak();
    await rig.clock.advance(600_000);
    expect(rig.reports).toEqual([]);
    expect(rig.clock.pending).toBe(0);
  });
});
