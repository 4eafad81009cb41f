/**
 * Money under way while the network fails, row by row: no note and no sat is lost or made up, and
 * nothing that is as good as money stands anywhere in clear, not even in what the machine reports.
 */
import { describe, expect, test } from 'vitest';
import { sleep } from '#protocol/base/clock.ts';
import { hiddenLink, hiddenText } from '#test/support/written.ts';
import { named } from './real-world.ts';
import { WholeWorld } from './whole-world.ts';

/** One trap: the harm while money is under way, and the world getting well. */
interface Row {
  readonly trap: string;
  readonly harm: (world: WholeWorld) => void | Promise<void>;
  readonly mend?: (world: WholeWorld) => void | Promise<void>;
}

/** Longer than any wait of the machine for one answer, and shorter than an invoice lives, ms. */
const AWAY_MS = 60_000;
/** Within the first attempt to get a link, ms. */
const SOON_MS = 10_000;
/** How often a customer comes back with his code. */
const VISITS_MAX = 10;
/** How often somebody looks whether a late payment is known, and his pace, ms. */
const LOOKS_MAX = 100;
const LOOK_MS = 10_000;

const rows: readonly Row[] = [
  {
    trap: 'wire 8: the bunker is deaf',
    harm: ({ bunker }) => {
      bunker.policy.switches.silent = true;
    },
    mend: async ({ bunker, clock }) => {
      await sleep(clock, AWAY_MS);
      bunker.policy.switches.silent = false;
    },
  },
  {
    trap: 'nostr.md 3.2: the relay is away, and the bunker is deaf afterwards',
    harm: ({ relay }) => relay.suspend(),
    mend: async (world) => {
      await sleep(world.clock, AWAY_MS);
      await world.relay.resume();
      await world.restartBunker();
    },
  },
  {
    trap: 'nostr.md 6: the wallet’s answers are lost',
    harm: ({ keeper }) => {
      keeper.switches.dropAnswers = 2;
    },
  },
  {
    trap: 'nostr.md 6: the wallet answers everything twice',
    harm: ({ keeper }) => {
      keeper.switches.answerTwice = true;
    },
  },
  {
    trap: 'wire 6.3: the wallet restarts',
    harm: ({ keeper }) => keeper.restart(),
  },
];

/** The program is ended and started again while the wallet is asked. */
const ended: Row = {
  trap: 'nostr.md 6: the wallet is silent, and the machine is started again',
  harm: ({ keeper }) => {
    keeper.switches.silent = true;
  },
  mend: async (world) => {
    await sleep(world.clock, SOON_MS);
    await world.restartMachine();
    world.keeper.switches.silent = false;
  },
};

/** What the machine tells about a transaction, and of itself, goes where it is searched. */
async function report(world: WholeWorld): Promise<void> {
  const { service, store } = world.agent;
  const [transaction] = store.transactions.recent(1);
  const dispute = await service.dispute(transaction?.reference ?? '');
  expect(dispute).toBeDefined();
  world.keep('reports.json', {
    ...{ dispute, status: service.status(), journal: service.journal({ limit: 1_000 }) },
    obligations: service.obligations({ which: 'all' }),
    ...{ documents: service.documents(), doctor: await service.doctor() },
  });
}

/** The session's code, which is as good as the money. */
function hideCode(world: WholeWorld): string {
  const code = world.view.session?.claimCode ?? '';
  expect(code.split(' ')).toHaveLength(5);
  world.hidden.push(hiddenText('a claim code', code));
  return code;
}

/** What books, devices and wallet do not agree on, but for links that nobody was ever shown. */
const disagreements = (world: WholeWorld) =>
  world.differences().filter((line) => !line.startsWith('links:'));

/** The session that is on. */
function sessionOf<Kind extends 'cashIn' | 'cashOut'>({ view }: WholeWorld, kind: Kind) {
  const { session } = view;
  return session?.kind === kind ? (session as Extract<typeof session, { kind: Kind }>) : undefined;
}

/** The link: shown by itself, or later by the code that the customer was given. */
async function linkByAndBy(world: WholeWorld, code: string) {
  const session = () => sessionOf(world, 'cashIn');
  const isOver = () => !session() || session()?.outcome != null;
  for (let visit = 0; visit < VISITS_MAX; visit++) {
    await world.until(() => session()?.lnurl != null || isOver(), 'a link or an end');
    const { lnurl, netSats } = session() ?? {};
    if (lnurl != null) return { lnurl, netSats };
    if (session()) await world.act({ do: 'dismiss' });
    await world.inService();
    await world.act({ do: 'redeem', code });
  }
  throw new Error('the code never brought a link');
}

/** The notes: handed out by themselves, or by the code when the wallet was heard too late. */
async function notesByAndBy(world: WholeWorld, code: string): Promise<void> {
  const { service } = world.agent;
  const session = () => sessionOf(world, 'cashOut');
  await world.until(() => !session() || session()?.outcome != null, 'an end');
  if (session()?.outcome?.code === 'dispensed') return;
  if (session()) await world.act({ do: 'dismiss' });
  for (let look = 0; look < LOOKS_MAX && service.obligations().length === 0; look++) {
    await sleep(world.clock, LOOK_MS);
  }
  await world.inService();
  await world.act({ do: 'redeem', code });
  await world.until(() => session()?.outcome?.code === 'dispensed', 'the code brings the notes');
}

describe('money is under way', () => {
  test.for(named([...rows, ended]))(
    'cash-in: %s',
    async ([, { harm, mend }], { onTestFinished }) => {
      const world = await WholeWorld.inService(onTestFinished);
      const { keeper } = world;
      const session = () => sessionOf(world, 'cashIn');
      await world.act({ do: 'startCashIn' });
      await world.insert(20);
      await world.until(() => session()?.notes === 1, 'the note is in');
      const code = hideCode(world);
      await harm(world);
      await world.act({ do: 'finish' });
      await mend?.(world);
      const { lnurl, netSats } = await linkByAndBy(world, code);
      // What the wallet made beside it is known to nobody, or for the operator to delete.
      for (const link of keeper.books().withdrawLinks) {
        world.hidden.push(hiddenLink('a link', link.lnurl), hiddenText('a key of a link', link.k1));
      }
      await report(world);
      expect(keeper.claim(lnurl)).toEqual({ ok: true, sats: netSats });
      await world.until(() => session()?.outcome?.code === 'claimed', 'it is claimed');
      await world.act({ do: 'dismiss' });
      await world.inService();
      await world.agent.service.backup();
      expect(world.validator.truth().cashbox).toEqual({ '20': 1 });
      expect(keeper.books().payouts).toHaveLength(1);
      expect(disagreements(world)).toEqual([]);
    },
  );

  test.for(named(rows))('cash-out: %s', async ([, { harm, mend }], { onTestFinished }) => {
    const world = await WholeWorld.inService(onTestFinished);
    const { keeper } = world;
    const session = () => sessionOf(world, 'cashOut');
    await world.act({ do: 'startCashOut' });
    await world.until(() => session()?.phase === 'choosing', 'amounts are offered');
    await world.act({ do: 'chooseAmount', amountMinor: 2_000 });
    await world.until(() => session()?.bolt11 != null, 'an invoice is shown');
    const code = hideCode(world);
    for (const { preimage } of keeper.books().invoices) {
      world.hidden.push(hiddenText('a preimage', preimage));
    }
    await harm(world);
    expect(keeper.pay(session()?.bolt11 ?? '')).toMatchObject({ ok: true });
    await mend?.(world);
    await notesByAndBy(world, code);
    await report(world);
    await world.act({ do: 'dismiss' });
    await world.inService();
    await world.agent.service.backup();
    expect(world.dispenser.truth().customer).toEqual({ '20': 1 });
    expect(disagreements(world)).toEqual([]);
  });
});
