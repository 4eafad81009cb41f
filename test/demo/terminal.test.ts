/** The demo as a person uses it: keys as hands, a real agent process whose power is really cut. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '#agent/demo.ts';
import { FakeTerminal } from './streams.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-demo-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(isTTY: boolean, ...more: string[]) {
  const terminal = new FakeTerminal();
  terminal.stdin.isTTY = isTTY;
  const ended = run(['--folder', join(folder, 'demo'), '--screen-port', '0', ...more], terminal);
  return { terminal, ended };
}

describe('keys at the terminal', () => {
  test('insert a note, get a link, claim it; a cut in the payout owes what is not proven', async () => {
    const { terminal, ended } = start(false);
    await terminal.see(/^idle$/m);
    await terminal.press('?', /q quit/);
    await terminal.press('f', /! there is no session/);
    await terminal.press('y', /! there is no invoice on the screen/);
    await terminal.press('c', /! there is no link on the screen/);

    await terminal.press('i', /cash-in \S+ inserting: 0 notes/);
    // No note has the number 9, and Z is no key: neither does anything.
    terminal.stdin.write('9Z');
    await terminal.press('4', /inserting: 1 notes, \$20\.00, 18945 sats/);
    await terminal.press('s', /cash box 1x\$20/);
    await terminal.press('f', /link on the screen/);
    await terminal.press('c', /claimed 18945 sats/);
    await terminal.see(/claimed:/);
    await terminal.press('c', /! there is no link on the screen/);
    await terminal.press('d', /^idle$/m);

    await terminal.press('o', /cash-out choosing: +1\) \$20\.00/);
    await terminal.press('9', /invoice|awaitingPayment|1x|for \d+ sats/);
    await terminal.see(/for \d+ sats/);
    terminal.stdin.write('y');
    await terminal.see(/paid \d+ sats/);
    await terminal.see(/dispensing/);
    await terminal.press('p', /POWER CUT/);
    await terminal.press('p', /the machine has power/);
    // Before the command left it is proven that nothing was handed out, after it that is not known;
    // either is owed by name, and nothing is handed out by itself.
    const owed = /OWED \S+: \$\d+\.00, (?:proven not|not known whether it was) handed out/;
    await terminal.see(owed);

    terminal.stdin.write('q');
    expect(await ended).toBe(0);

    // A second start goes on where the first ended, and the debt is still known.
    const second = start(false);
    await second.terminal.see(owed);
    second.terminal.stdin.end();
    expect(await second.ended).toBe(0);
  });

  test('pull the validator: cash-in says so, cash-out goes on', async () => {
    const { terminal, ended } = start(true, '--fresh');
    await terminal.see(/^idle$/m);
    await terminal.press('u', /the validator's cable is out/);
    await terminal.see(/^idle: .+$/m);
    await terminal.press('i', /! .*validator/i);
    await terminal.press('4', /! /);
    await terminal.press('o', /cash-out choosing/);
    await terminal.press('x', /cancelled/);
    await terminal.press('d', /^idle: .+$/m);
    await terminal.press('t', /the notes are taken|! /);
    await terminal.press('u', /the validator's cable is in/);
    await terminal.see(/^idle$/m);
    await terminal.press('p', /POWER CUT/);
    await terminal.press('o', /! the machine does not answer/);
    // One key a time, and a shell as it was: the terminal is raw only while the demo runs.
    expect(terminal.stdin.raw).toEqual([true]);
    terminal.stdin.write('\u0003');
    expect(await ended).toBe(0);
    expect(terminal.stdin.raw).toEqual([true, false]);
  });
});
