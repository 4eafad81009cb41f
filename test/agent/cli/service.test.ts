/** `spire service`: what a person says reaches the agent, and what it answers is said. */
import { describe, expect, test } from 'vitest';
import { startHarness } from '#test/agent/api/harness.ts';
import { inProcess } from './process.ts';

const told = ['--by', 'Ana', '--reason', 'I looked'];

describe.concurrent('spire service', () => {
  test('accept-device names the device, accept-anchor the machine', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const say = (...words: string[]) =>
      inProcess(['service', ...words, ...told, '--socket', socketPath]);
    const device = await say('accept-device', 'validator');
    expect([device.code, device.out]).toEqual([0, 'The validator may be used.\n']);
    const anchor = await say('accept-anchor', '--json');
    expect([anchor.code, JSON.parse(anchor.out)]).toEqual([0, { outcome: 'accepted' }]);
    const by = { by: 'Ana', reason: 'I looked' };
    expect(service.acceptances).toEqual([{ device: 'validator', ...by }, by]);
  });

  test('what cannot be accepted is said, with the exit code that fits', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const say = (...words: string[]) =>
      inProcess(['service', ...words, ...told, '--socket', socketPath]);
    service.deviceAccepted = 'notThere';
    const away = await say('accept-device', 'dispenser');
    expect([away.code, away.err]).toEqual([75, expect.stringContaining('does not answer now')]);
    service.deviceAccepted = 'nothingFound';
    expect((await say('accept-device', 'dispenser')).code).toBe(1);
    service.accepted = 'restoreFirst';
    const old = await say('accept-anchor');
    expect([old.code, old.err]).toEqual([77, expect.stringContaining('spire restore')]);
    service.accepted = 'nothingFound';
    expect((await say('accept-anchor')).code).toBe(1);
    expect((await say('accept-device', 'printer')).code).toBe(2);
    expect((await inProcess(['service', 'accept-anchor'])).code).toBe(2);
  });
});
