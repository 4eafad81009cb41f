/** The service as systemd starts it: a configuration file, real ttys, a real relay and bunker. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { demoConfig, openHardware, openWorld, pairOnce } from '#agent/demo/machine.ts';
import { run } from '#agent/serve.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { FakeTerminal } from '#test/demo/streams.ts';

const context = { clock: systemClock, random: systemRandom, log: silentLog };
const DEVICES = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'lcdm', model: 'lcdm-2000' },
};

let folder: string;
let terminal: FakeTerminal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-serve-'));
  terminal = new FakeTerminal();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const configFile = () => join(folder, 'config.json');

/** A right configuration for ports that are not there. */
function writeConfig(ports = { validator: '/dev/no-validator', dispenser: '/dev/no-dispenser' }) {
  const [validator, dispenser] = [{ path: ports.validator }, { path: ports.dispenser }];
  const config = demoConfig(folder, DEVICES, { validator, dispenser }, 0);
  writeFileSync(configFile(), JSON.stringify({ ...config, log: { level: 'error' } }));
}

const answer = z.object({ cashIn: z.object({ open: z.boolean() }), state: z.string() });

/** What the socket says of the machine; undefined while it says nothing. */
function ask(): Promise<z.infer<typeof answer> | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath: join(folder, 'agent.sock'), path: '/v1/machine' }, (got) => {
      let text = '';
      got.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      got.on('end', () => resolve(answer.safeParse(JSON.parse(text)).data));
    });
    call.on('error', () => resolve(undefined));
    call.end();
  });
}

describe('the service', () => {
  test('comes in service on real ttys and ends in order when it is told to', async () => {
    const world = await openWorld(context, folder, DEVICES);
    const hardware = await openHardware(context, folder, DEVICES, true);
    await pairOnce(context, world, join(folder, 'state'));
    writeConfig({
      validator: hardware.ports.validator.path,
      dispenser: hardware.ports.dispenser.path,
    });
    const ended = run(['--config', configFile()], terminal);
    await terminal.see(/\{"screen":"http:\/\/127\.0\.0\.1:\d+\/#token=\S+"\}/);
    await expect.poll(ask, { timeout: 30_000 }).toMatchObject({ state: 'idle' });
    await expect.poll(async () => (await ask())?.cashIn.open, { timeout: 30_000 }).toBe(true);

    // The state is one program's: a second one is told so, and leaves the first alone.
    const second = new FakeTerminal();
    expect(await run(['--config', configFile()], second)).toBe(75);
    expect(second.error.text).toMatch(/lock|another/i);
    expect(await ask()).toMatchObject({ state: 'idle' });

    process.emit('SIGTERM');
    expect(await ended).toBe(0);
    expect(await ask()).toBeUndefined();
    hardware.stop();
    await world.stop();
  });

  test('wrong usage is 2, and --help is no fault', async () => {
    expect(await run([], terminal)).toBe(2);
    expect(terminal.error.text).toContain("required option '--config <file>'");
    expect(await run(['--config', 'spire.json', '--demo'], terminal)).toBe(2);
    expect(terminal.error.last).toContain("'--demo'");
    expect(await run(['--help'], terminal)).toBe(0);
    expect(terminal.out.text).toContain('Usage: spire-agent');
  });

  test('78 for a configuration that is not there, is wrong, or names a machine never paired', async () => {
    expect(await run(['--config', configFile()], terminal)).toBe(78);
    expect(terminal.error.text).toContain(configFile());
    writeFileSync(configFile(), '{"currency":"USD"}');
    expect(await run(['--config', configFile()], terminal)).toBe(78);
    expect(terminal.error.text).toContain('limits');
    writeConfig();
    mkdirSync(join(folder, 'state'), { recursive: true });
    expect(await run(['--config', configFile()], terminal)).toBe(78);
    expect(terminal.error.last).toContain('run `spire pair`');
  });
});
