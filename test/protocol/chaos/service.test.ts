/**
 * What a hostile network does to a machine that waits for customers, row by row: it says so before
 * anyone comes, by the name that operators know, and is in service again without a person.
 */
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ReasonCode } from '#agent/watch/reasons.ts';
import { sleep, systemRandom } from '#protocol/base/clock.ts';
import { newReference } from '#protocol/base/ids.ts';
import { npubOf } from '#protocol/pairing/public-key.ts';
import { spirePolicy } from '#protocol/simulator/bunker-policy.ts';
import { named } from './real-world.ts';
import { WholeWorld } from './whole-world.ts';

/** One trap: the harm, what closes the machine meanwhile, and the world getting well. */
interface Row {
  readonly trap: string;
  readonly harm: (world: WholeWorld) => void | Promise<void>;
  readonly code: ReasonCode;
  /** Words that the reason must hold. */
  readonly words: string;
  readonly mend: (world: WholeWorld) => void | Promise<void>;
}

/** Rounds until peers have found each other too, and their pace, ms: a link's longest back-off. */
const ROUNDS_MAX = 10;
const ROUND_MS = 60_000;
const rows: readonly Row[] = [
  {
    trap: 'wire 8, 9.8: the bunker is deaf',
    harm: ({ bunker }) => {
      bunker.policy.switches.silent = true;
    },
    code: 'signerUnreachable',
    words: 'Signer Unreachable',
    mend: ({ bunker }) => {
      bunker.policy.switches.silent = false;
    },
  },
  {
    trap: 'wire 8: the bunker refuses',
    harm: ({ bunker: { policy } }) => {
      policy.rules = [];
      policy.switches.ungranted = 'refuse';
    },
    code: 'pairingRequired',
    words: 'Pairing Required: Not authorized',
    mend: ({ bunker: { policy } }) => {
      policy.rules = spirePolicy;
    },
  },
  {
    trap: 'nostr.md 1: the bunker wants a person to open an address',
    harm: ({ bunker: { policy } }) => {
      policy.switches.authUrl = 'https://bunker.example/allow';
    },
    code: 'pairingRequired',
    words: 'https://bunker.example/allow',
    mend: ({ bunker: { policy } }) => {
      policy.switches.authUrl = undefined;
    },
  },
  {
    trap: 'wire 8: the bunker’s quota is exhausted, until the operator widens it',
    harm: ({ bunker: { policy } }) => {
      const capped = { method: 'sign_event', eventKind: 21_000, windowMs: 3_600_000 };
      policy.cap({ ...capped, maxUsageCount: 1 });
    },
    code: 'signerUnreachable',
    words: 'Signer Unreachable',
    mend: ({ bunker: { policy } }) => {
      policy.rules = spirePolicy;
    },
  },
  {
    trap: 'nostr.md 3.2: the relay is away for 20 min, and the bunker is deaf afterwards',
    harm: ({ relay }) => relay.suspend(),
    code: 'signerUnreachable',
    words: 'no relay took it',
    mend: async (world) => {
      await sleep(world.clock, 1_200_000);
      await world.relay.resume();
      await world.restartBunker();
    },
  },
  {
    trap: 'wire 2.3: the wallet is silent',
    harm: ({ keeper }) => {
      keeper.switches.silent = true;
    },
    code: 'walletUnreachable',
    words: 'does not answer',
    mend: ({ keeper }) => {
      keeper.switches.silent = false;
    },
  },
  {
    trap: 'wire 2.4: the wallet has taken the machine off its roster',
    harm: ({ keeper, bunker }) => {
      keeper.switches.unknownSender = 'refuse';
      keeper.roster.delete(bunker.pubkey);
    },
    code: 'walletUnreachable',
    words: 'not_in_roster',
    mend: ({ keeper, bunker }) => {
      keeper.roster.add(bunker.pubkey);
    },
  },
  {
    trap: 'wire 9.1: the wallet makes up another wallet for the machine',
    harm: ({ keeper, bunker }) => {
      keeper.roster.delete(bunker.pubkey);
    },
    code: 'walletUnreachable',
    words: 'Wallet access required',
    mend: ({ keeper, bunker }) => {
      keeper.roster.add(bunker.pubkey);
    },
  },
  ...(
    [
      ['slow', -70_000],
      ['fast', 70_000],
    ] as const
  ).map(
    ([how, aheadMs]): Row => ({
      trap: `nostr.md 6: our clock becomes 70 s ${how}`,
      harm: ({ machineClock }) => {
        machineClock.aheadMs = aheadMs;
      },
      code: 'clock',
      words: `s ${how}. Set it`,
      mend: ({ machineClock }) => {
        machineClock.aheadMs = 0;
      },
    }),
  ),
];

/** What closes the machine in both directions. */
const reasonsOf = ({ view: { cashIn, cashOut } }: WholeWorld) =>
  cashIn.reasons.filter(({ code }) => cashOut.reasons.some((other) => other.code === code));

const untilClosed = (world: WholeWorld, code: ReasonCode) =>
  world.until(() => reasonsOf(world).some((reason) => reason.code === code), code);

/** The machine is in service by itself, and a real handshake with everything finds no fault. */
async function isWell(world: WholeWorld): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await world.inService(3_600_000);
    if ((await world.agent.service.doctor()).level !== 'fault') return;
    await sleep(world.clock, ROUND_MS);
  }
  throw new Error(`not well: ${JSON.stringify(await world.agent.service.doctor())}`);
}

describe('a machine that waits for customers', () => {
  test.for(named(rows))('%s', async ([, row], { onTestFinished }) => {
    const world = await WholeWorld.inService(onTestFinished);
    await row.harm(world);
    await untilClosed(world, row.code);
    expect(world.view.state).toBe('outOfService');
    const reason = reasonsOf(world).find(({ code }) => code === row.code);
    expect(reason?.text).toContain(row.words);
    await row.mend(world);
    await isWell(world);
  });
});

const told = { by: 'Ana', reason: 'as found on site' };
const stateOf = ({ stateFolder }: WholeWorld) => join(stateFolder, 'state.sqlite');

/** How far the journal was when the operator was told last; 0 before he was. */
const anchorSeq = ({ keeper }: WholeWorld): number =>
  anchorSchema.safeParse(keeper.received('bitspire-anchor')?.content).data?.journal.seq ?? 0;
const anchorSchema = z.object({ journal: z.object({ seq: z.int() }) });

/** Something is owed, which the operator is told soon. */
function owe({ agent: { store } }: WholeWorld): void {
  store.commit(() => {
    const reference = newReference(systemRandom);
    store.obligations.insert({ reference, kind: 'surplusLink', currency: 'USD', body: {} });
    store.journal.append('obligation.opened', { kind: 'surplusLink' });
  });
}

describe('what only a person can set right', () => {
  test('wire 3.5, 9.5: the operator’s key changes, and documents of both directions follow', async ({
    onTestFinished,
  }) => {
    const world = await WholeWorld.inService(onTestFinished);
    const { keeper, agent, clock } = world;
    const { service } = agent;
    const stateDocument = () => keeper.received('bitspire-cassettes-state');
    await world.until(() => stateDocument() !== undefined, 'the operator knows the bays');
    const operator = keeper.rotateOperatorKey();
    await keeper.publishDocument('bitspire-fees', {
      schema_version: 1,
      cash_in_fee_fraction: 0.02,
      cash_out_fee_fraction: 0.02,
    });
    await sleep(clock, ROUND_MS);
    // The last good ones stay in force, and nobody new is obeyed.
    expect(world.view).toMatchObject({ state: 'idle', cashIn: { feeFraction: 0.08 } });
    expect(stateDocument()).toBeUndefined();
    service.setOperator({ operator: npubOf(operator), ...told });
    await world.until(({ cashIn }) => cashIn.feeFraction === 0.02, 'his documents are in force');
    await world.until(() => stateDocument() !== undefined, 'he can read ours');
    await world.restartMachine();
    await world.inService();
    expect(world.agent.service.status().operatorPubkey).toBe(operator);
  });

  test('design 8: a twin says so, and nothing in place of the first', async ({
    onTestFinished,
  }) => {
    const world = await WholeWorld.inService(onTestFinished);
    const path = stateOf(world);
    await world.until(() => anchorSeq(world) > 0, 'the anchor is out');
    await world.restartMachine(() => renameSync(path, `${path}.first`));
    await untilClosed(world, 'twin');
    await world.restartMachine(() => {
      rmSync(path);
      renameSync(`${path}.first`, path);
    });
    await world.inService();
  });

  test('design 8: an old state that was put back says so', async ({ onTestFinished }) => {
    const world = await WholeWorld.inService(onTestFinished);
    const path = stateOf(world);
    await world.restartMachine(() => copyFileSync(path, `${path}.old`));
    await world.inService();
    const seq = anchorSeq(world);
    owe(world);
    await world.until(() => anchorSeq(world) > seq, 'the relays know that it went on');
    await world.restartMachine(() => {
      renameSync(path, `${path}.new`);
      renameSync(`${path}.old`, path);
    });
    await untilClosed(world, 'rolledBack');
    await world.restartMachine(() => renameSync(`${path}.new`, path));
    await world.inService();
  });
});
