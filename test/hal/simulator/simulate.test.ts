/** The command as others run it: a process, a pty, a socket, a real driver on a real port. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type onTestFinished, test } from 'vitest';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { runSimulate } from '#hal/simulator/simulate-command.ts';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { asked } from '../lcdm/rig.ts';

const COMMAND = join(import.meta.dirname, '../../../hal/simulator/simulate.ts');
type Finished = typeof onTestFinished;

/** Starts the command; it is killed with its test, which may run beside others. */
function start(onFinished: Finished, ...args: string[]) {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  onFinished(() => {
    child.kill('SIGKILL');
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    err += data.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    exited,
    firstLine: async (): Promise<string> => (await lines.next()).value ?? '',
    out: () => out,
    err: () => err,
  };
}

function socketPath(onFinished: Finished): string {
  const folder = mkdtempSync(join(tmpdir(), 'spire-simulate-'));
  onFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'control');
}

/** One command on the control socket. */
function ask(path: string, line: string): Promise<{ ok: boolean; result?: unknown }> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${line}\n`));
    socket.on('error', reject);
    createInterface({ input: socket }).once('line', (reply) => {
      socket.destroy();
      resolve(JSON.parse(reply));
    });
  });
}

function dispenserOn(path: string, model: 'lcdm-4000' | 'lcdm-4000-lamassu'): LcdmDispenser {
  const port = new SystemPort({ path, clock: systemClock });
  return new LcdmDispenser({
    port,
    clock: systemClock,
    log: silentLog,
    options: { model, timings: { resetMs: 2100 } },
  });
}

describe.concurrent('simulate', () => {
  test('a dispenser on a pty, driven by the real driver, controlled by the socket', async ({
    expect,
    onTestFinished: finished,
  }) => {
    const control = socketPath(finished);
    const run = start(
      finished,
      'lcdm',
      '--pty',
      '--control',
      control,
      '--cassettes',
      '1:20:9,2:5:9',
    );
    const dispenser = dispenserOn(await run.firstLine(), 'lcdm-4000');
    await dispenser.open();
    expect((await dispenser.initialise()).kind).toBe('answered');
    const outcome = await dispenser.dispense(asked({ 1: 2, 2: 1 }));
    expect(outcome).toMatchObject({ kind: 'answered', error: undefined });
    expect(await ask(control, '{"do":"state"}')).toMatchObject({
      ok: true,
      result: { customer: { 20: 2, 5: 1 }, units: { 1: { count: 7 }, 2: { count: 8 } } },
    });
    expect(await ask(control, '{"do":"fault","name":"error"}')).toMatchObject({ ok: true });
    expect(await dispenser.dispense(asked({ 1: 1 }))).toMatchObject({ error: { code: '51' } });
    expect(await ask(control, 'no JSON')).toMatchObject({ ok: false, code: 'usage' });
    await dispenser.close();
    run.child.kill('SIGTERM');
    expect(await run.exited).toBe(0);
    expect(run.err()).toBe('');
    expect(existsSync(control)).toBe(false);
  });

  test("Lamassu's unit on a port that exists, at the speed of the line", async ({
    expect,
    onTestFinished: finished,
  }) => {
    // The pty's far end is the driver's line here: two ptys with a wire between them.
    const [near, far] = [await openPty(), await openPty()];
    near.onData((bytes) => far.write(bytes));
    far.onData((bytes) => near.write(bytes));
    const run = start(
      finished,
      'lcdm',
      '--port',
      far.path,
      '--model',
      'lcdm-4000-lamassu',
      '--pace',
      '--json',
    );
    const announced: unknown = JSON.parse(await run.firstLine());
    expect(announced).toEqual({ protocol: 'lcdm', tty: far.path, control: null });
    const dispenser = dispenserOn(near.path, 'lcdm-4000-lamassu');
    await dispenser.open();
    expect((await dispenser.initialise()).kind).toBe('answered');
    expect(await dispenser.dispense(asked({ 2: 1 }))).toMatchObject({
      kind: 'answered',
      units: [{ presented: 0 }, { presented: 1 }],
    });
    expect(await dispenser.baseline()).toMatchObject({ sequenceNumber: 1 });
    await dispenser.close();
    run.child.kill('SIGINT');
    expect(await run.exited).toBe(0);
    near.close();
    far.close();
  });

  test('a validator on a pty takes hands', async ({ expect, onTestFinished: finished }) => {
    const control = socketPath(finished);
    const run = start(finished, 'id003', '--pty', '--control', control, '--currency', 'EUR');
    expect(await run.firstLine()).toMatch(/^\/dev\//);
    expect(await ask(control, '{"do":"insert","denomination":7}')).toMatchObject({ ok: false });
    expect(await ask(control, '{"do":"state"}')).toMatchObject({ ok: true, result: { units: {} } });
    run.child.kill('SIGTERM');
    expect(await run.exited).toBe(0);
  });

  test('a tty that vanishes ends it', async ({ expect, onTestFinished: finished }) => {
    const other = start(finished, 'lcdm', '--pty');
    const tty = await other.firstLine();
    const run = start(finished, 'lcdm', '--port', tty);
    await run.firstLine();
    other.child.kill('SIGTERM');
    expect(await run.exited).toBe(69);
    expect(run.err()).toContain(tty);
  });

  test('the help names protocols, models and faults', async ({
    expect,
    onTestFinished: finished,
  }) => {
    const run = start(finished, '--help');
    expect(await run.exited).toBe(0);
    for (const word of ['id003', 'lcdm-4000-lamassu', 'loseResponse', 'stackerFull', '"take"']) {
      expect(run.out()).toContain(word);
    }
  });

  test.for([
    [2, ['lcdm']],
    [69, ['lcdm', '--port', '/dev/there-is-no-such-tty']],
    [69, ['lcdm', '--pty', '--control', '/nowhere/at/all/control']],
  ] as const)('ends with %j', async ([code, args], { expect, onTestFinished: finished }) => {
    const run = start(finished, ...args);
    expect(await run.exited).toBe(code);
    expect(run.err()).not.toBe('');
    expect(run.err()).not.toMatch(/\n\s+at /);
  });

  test.for([
    [],
    ['lcdm', '--pty', '--port', '/dev/null'],
    ['ccnet9', '--pty'],
    ['lcdm', '--pty', '--model', 'lcdm-9'],
    ['lcdm', '--pty', '--cassettes', '1:20'],
    ['lcdm', '--pty', '--cassettes', '7:20:5'],
    ['id003', '--pty', '--currency', 'euro'],
    ['id003', '--pty', '--currency', 'XAU'],
    ['lcdm', '--pty', '--nonsense'],
  ])('does not begin with %j', async (args, { expect }) => {
    let complaint = '';
    const code = await runSimulate(args, (words) => {
      complaint += words;
    });
    expect(code).toBe(2);
    expect(complaint).not.toBe('');
    expect(complaint).not.toMatch(/\n\s+at /);
  });
});
