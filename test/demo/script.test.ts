/** The demo as a new user starts it: scripted runs, their result and their exit codes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { run } from '#agent/demo.ts';
import { FakeTerminal, Lines } from './streams.ts';

const START = join(import.meta.dirname, '../../agent/start.ts');
const LIMIT_MS = 120_000;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const lnurl = z.string().regex(/^LNURL1[02-9A-Z]+$/);
/** Exactly this shape: scripts read it. */
const resultSchema = z.strictObject({
  cashIn: z
    .strictObject({
      fiatMinor: z.int(),
      currency: z.literal('USD'),
      principalSats: z.int(),
      feeSats: z.int(),
      netSats: z.int(),
      lnurl,
    })
    .nullable(),
  cashOut: z
    .strictObject({
      fiatMinor: z.int(),
      currency: z.literal('USD'),
      principalSats: z.int(),
      feeSats: z.int(),
      wireSats: z.int(),
      paymentHash: hash,
      dispensed: z.record(z.string(), z.int()),
    })
    .nullable(),
  conserved: z.boolean(),
  journal: z.strictObject({ entries: z.int(), chain: z.enum(['ok', 'broken']) }),
  differences: z.array(z.string()).optional(),
});

describe('a scripted run', () => {
  test('takes three notes and hands out two, and every note and sat is accounted for', async () => {
    const terminal = new FakeTerminal();
    const code = await run(['--script', 'cash-in,cash-out', '--json'], terminal);
    const result = resultSchema.parse(JSON.parse(terminal.out.last));
    // One dollar is 1,029 sats and a bit; every note is rounded down by itself, the payout up.
    expect(result.cashIn).toMatchObject({
      fiatMinor: 7500,
      principalSats: 77_225,
      feeSats: 6178,
      netSats: 71_047,
    });
    expect(result.cashOut).toMatchObject({
      fiatMinor: 7000,
      principalSats: 72_079,
      feeSats: 5766,
      wireSats: 77_845,
      dispensed: { '1': 1, '3': 1 },
    });
    expect(result).toMatchObject({ conserved: true, journal: { chain: 'ok' } });
    expect(result.differences).toBeUndefined();
    expect(code).toBe(0);
    // With --json the progress is beside the result and not in it.
    expect(terminal.out.text.trimEnd().split('\n')).toHaveLength(1);
    expect(terminal.error.text).toContain('claimed 71047 sats');
  });

  test('notices a note that is nowhere', async () => {
    const terminal = new FakeTerminal();
    const steps = ['--script', 'cash-out', '--fault', 'lose-note'];
    expect(await run(steps, terminal)).toBe(1);
    // Without --json a person reads on, from the progress to the result.
    const { text } = terminal.out;
    const result = resultSchema.parse(JSON.parse(text.slice(text.indexOf('{\n'))));
    expect(text).toContain('not conserved: customers $20');
    expect(result.conserved).toBe(false);
    expect(result.differences).toEqual(['customers $20: the ledger has 1, in truth 0']);
  });

  test.each([
    [['--script', 'cash-sideways'], 'Known: cash-in, cash-out.'],
    [['--script', 'cash-in', '--fault', 'fire'], 'Known: lose-note.'],
    [['--validator', 'abacus'], ' id003, '],
    [['--dispenser', 'constructor'], 'Known: lcdm'],
    [['--screen-port', '65536'], 'Must be 0 to 65535.'],
    [['--pour'], "unknown option '--pour'"],
  ])('refuses %j and says what is known', async (argv, words) => {
    const terminal = new FakeTerminal();
    expect(await run(argv, terminal)).toBe(2);
    expect(terminal.error.text).toContain(words);
    expect(terminal.out.text).toBe('');
  });

  test('tells how it is used', async () => {
    const terminal = new FakeTerminal();
    const others = ['--validator', 'ccnet', '--dispenser', 'f56'];
    expect(await run([...others, '--help'], terminal)).toBe(0);
    expect(terminal.out.text).toContain('--script <steps>');
  });
});

describe('as a process', () => {
  const children: ChildProcess[] = [];
  const folders: string[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  async function start(...argv: string[]) {
    const child = spawn(process.execPath, [START, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const [out, error] = [new Lines(), new Lines()];
    child.stdout.pipe(out.stream);
    child.stderr.pipe(error.stream);
    const [code] = await once(child, 'close');
    return { code, out, error };
  }

  function fileWith(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'spire-start-'));
    folders.push(folder);
    const file = join(folder, 'spire.json');
    writeFileSync(file, text);
    return file;
  }

  test(
    'it ends by itself, with its result as the last line, over real ptys',
    async () => {
      const { code, out } = await start('--script', 'cash-out', '--json', '--pty');
      expect(resultSchema.parse(JSON.parse(out.last)).conserved).toBe(true);
      expect(code).toBe(0);
    },
    LIMIT_MS,
  );

  test('without a configuration the machine itself does not start', async () => {
    const { code, error } = await start('--config', '/nowhere/spire.json');
    expect(error.text).toContain('/nowhere/spire.json');
    expect(code).toBe(78);
  });

  test('what is wrong in a configuration is said, field by field', async () => {
    const file = fileWith(JSON.stringify({ currency: 'dollars', limits: {} }));
    const { code, error } = await start('--config', file);
    expect(error.text).toContain('limits.max_cash_in_sats');
    expect(error.text).toContain('currency');
    expect(code).toBe(78);
  });

  test('an option that the machine does not have is wrong usage', async () => {
    const { code } = await start('--config', fileWith('{}'), '--pour');
    expect(code).toBe(2);
  });
});
