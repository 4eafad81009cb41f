import { describe, expect, test } from 'vitest';
import { ReasonBoard } from '#agent/watch/reasons.ts';
import { openWalletWatch } from '#agent/watch/wallet-watch.ts';
import { silentLog } from '#protocol/base/log.ts';
import { sats } from '#protocol/base/money.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import type { WalletAnswer, WalletBalance } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { makeKeeper, makeWallet } from '../../protocol/rpc/keeper-rig.ts';
import { makeSigner } from '../../protocol/rpc/rig.ts';

const MINUTE_MS = 60_000;

const codes = (board: ReasonBoard) => ({
  cashIn: board.list('cashIn').map(({ code }) => code),
  cashOut: board.list('cashOut').map(({ code }) => code),
});

/** The watch over the stand-in's wallet, through a real client. */
function makeWorld(walletReserveSats = 0) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, verify: verifySignature });
  const signer = makeSigner(clock);
  const keeper = makeKeeper(clock, network.client(), signer.pubkey);
  const line = network.client();
  const { wallet } = makeWallet(clock, line, signer, keeper);
  const board = new ReasonBoard();
  const { walletId } = keeper;
  const config = { limits: { walletReserveSats } };
  const watch = openWalletWatch({ config, wallet, walletId, board, clock, log: silentLog });
  const balance = (maxAgeMs = 0) => clock.resolve(watch.balance(maxAgeMs));
  return { clock, signer, keeper, line, board, watch, balance };
}

/** The watch over answers of a test's choice. */
function makeScript(...answers: (WalletAnswer<WalletBalance> | Error)[]) {
  const clock = new VirtualClock();
  const board = new ReasonBoard();
  let asked = 0;
  const watch = openWalletWatch({
    config: { limits: { walletReserveSats: 0 } },
    wallet: {
      getWallet: async () => {
        asked++;
        const answer = answers.shift() ?? { kind: 'unanswered' };
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    walletId: 'pinned',
    board,
    clock,
    log: silentLog,
  });
  return { clock, board, watch, asked: () => asked };
}

const holds = (balance: number, walletId?: string): WalletAnswer<WalletBalance> => ({
  kind: 'ok',
  value: { balanceSats: sats(balance), walletId },
});

describe('the balance', () => {
  test('is asked for when older than wanted, once by all who wait', async () => {
    const { clock, watch, asked } = makeScript(holds(5, 'pinned'), holds(6, 'pinned'));
    expect(watch.named()).toBe(false);
    expect(await Promise.all([watch.balance(0), watch.balance(0)])).toEqual([5, 5]);
    await clock.advance(MINUTE_MS);
    expect(await watch.balance(MINUTE_MS)).toBe(5);
    expect(asked()).toBe(1);
    await clock.advance(1);
    expect(await watch.balance(MINUTE_MS)).toBe(6);
    expect(asked()).toBe(2);
  });

  test('counts as old as its question', async () => {
    const { clock, keeper, watch, balance } = makeWorld();
    keeper.fund(1_000);
    keeper.switches.dropAnswers = 1;
    expect(await balance()).toBe(1_000);
    keeper.fund(1);
    expect(clock.monotonic()).toBeGreaterThan(1_000);
    expect(await balance(1_000)).toBe(1_001);
    expect(watch.named()).toBe(true);
  });

  test('of nothing closes cash-in, and of more opens it', async () => {
    const { keeper, board, balance } = makeWorld();
    expect(await balance()).toBe(0);
    expect(codes(board)).toEqual({ cashIn: ['walletEmpty'], cashOut: [] });
    expect(board.list('cashIn')[0]?.text).toBe('The wallet is empty.');
    keeper.fund(1);
    expect(await balance()).toBe(1);
    expect(codes(board)).toEqual({ cashIn: [], cashOut: [] });
  });

  test('within the reserve closes cash-in', async () => {
    const { keeper, board, balance } = makeWorld(1_000);
    keeper.fund(1_000);
    expect(await balance()).toBe(1_000);
    expect(board.list('cashIn').map(({ text }) => text)).toEqual([
      'The wallet holds 1000 sats, of which 1000 are kept back.',
    ]);
    keeper.fund(1);
    await balance();
    expect(codes(board)).toEqual({ cashIn: [], cashOut: [] });
  });
});

describe('a wallet', () => {
  test('that does not answer closes both directions until it does', async () => {
    const { keeper, line, board, balance } = makeWorld();
    keeper.fund(10);
    expect(await balance()).toBe(10);
    line.partition();
    expect(await balance()).toBeUndefined();
    expect(codes(board)).toEqual({ cashIn: ['walletUnreachable'], cashOut: ['walletUnreachable'] });
    line.heal();
    // However young the last balance is: the last asking failed.
    expect(await balance(10 * MINUTE_MS)).toBe(10);
    expect(codes(board)).toEqual({ cashIn: [], cashOut: [] });
  });

  test('that refuses is quoted', async () => {
    const { keeper, signer, board, balance } = makeWorld();
    keeper.switches.unknownSender = 'refuse';
    keeper.roster.delete(signer.pubkey);
    expect(await balance()).toBeUndefined();
    const text = 'The wallet refuses: not_in_roster';
    expect(board.list('cashOut')).toEqual([{ code: 'walletUnreachable', text }]);
  });

  test('whose answer cannot be read is as good as silent', async () => {
    const { board, watch } = makeScript({ kind: 'malformed', reason: 'balance: missing' });
    expect(await watch.balance(0)).toBeUndefined();
    const text = "The wallet's answer cannot be read: balance: missing";
    expect(board.list('cashIn')).toEqual([{ code: 'walletUnreachable', text }]);
  });

  test('of another id is a mismatch until the pinned one is named', async () => {
    const other = holds(9, 'another');
    const { board, watch } = makeScript(other, holds(9), holds(500, 'pinned'), other);
    for (const said of ['wallet another', 'another wallet']) {
      expect(await watch.balance(0)).toBeUndefined();
      expect(watch.named()).toBe(false);
      expect(codes(board)).toEqual({ cashIn: ['walletMismatch'], cashOut: ['walletMismatch'] });
      expect(board.list('cashIn')[0]?.text).toContain(said);
    }
    expect(await watch.balance(0)).toBe(500);
    expect(watch.named()).toBe(true);
    expect(codes(board)).toEqual({ cashIn: [], cashOut: [] });
    await watch.check();
    expect(watch.named()).toBe(false);
    expect(await watch.balance(10 * MINUTE_MS)).toBeUndefined();
  });

  test('that is not named has a balance and no name', async () => {
    const { keeper, balance, board, watch } = makeWorld();
    keeper.fund(7);
    keeper.switches.nameWallet = false;
    expect(await balance()).toBe(7);
    expect(watch.named()).toBe(false);
    expect(codes(board)).toEqual({ cashIn: [], cashOut: [] });
  });
});

describe('a signer', () => {
  test('that does not sign leaves the board to its own reason', async () => {
    const silent = new SignerError({ kind: 'silent', reason: 'away' }, 'sign_event');
    const { board, watch } = makeScript({ kind: 'unanswered' }, silent, holds(3));
    await watch.check();
    expect(codes(board).cashIn).toEqual(['walletUnreachable']);
    expect(await watch.balance(0)).toBeUndefined();
    expect(codes(board).cashIn).toEqual(['walletUnreachable']);
    expect(await watch.balance(0)).toBe(3);
    expect(codes(board).cashIn).toEqual([]);
  });

  test('is not blamed for a bug', async () => {
    const { watch } = makeScript(new Error('a bug'));
    await expect(watch.balance(0)).rejects.toThrow('a bug');
  });
});
