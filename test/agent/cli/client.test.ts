/** Who may use the socket, and where a demo listens: matters of this whole process. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ownerToken } from '#agent/api/owner-file.ts';
import { clearSocketPath } from '#agent/api/socket-file.ts';
import { asOwnerOf } from '#agent/cli/owner.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { inProcess } from './process.ts';

const NOBODY = 65_534;

/** Does the rest of the block as a user who owns nothing, where this is root. */
function asNobody(): Disposable {
  if (process.geteuid?.() !== 0) return { [Symbol.dispose]: () => undefined };
  process.seteuid?.(NOBODY);
  return { [Symbol.dispose]: () => process.seteuid?.(0) };
}

test('77 for a user whom the socket is not for', async () => {
  await using harness = await startHarness();
  const { socketPath } = harness;
  // Root may use every socket; another user may not use one of mode 0, even his own.
  chmodSync(dirname(socketPath), 0o755);
  chmodSync(socketPath, 0);
  if (process.geteuid?.() !== 0) chmodSync(`${socketPath}.owner`, 0);
  const answer = async (words: readonly string[]) => {
    const { code, err } = await inProcess([...words, '--socket', socketPath]);
    return [code, err];
  };
  using _ = asNobody();
  expect(await answer(['status'])).toEqual([77, expect.stringContaining('You may not use')]);
  expect(ownerToken(socketPath)).toBeUndefined();
  // Nobody can tell whether an agent listens there: it is not taken away from anyone.
  await expect(clearSocketPath(socketPath)).rejects.toThrow('connect EACCES');
  // In the technician's own words.
  expect(await answer(['service', '--language', 'es'])).toEqual([
    ...[77, expect.stringContaining('No puede usar este cajero')],
  ]);
  // Whoever may not ask the agent may still look which ports there are.
  expect(await answer(['probe'])).toEqual([0, '']);
  // His own files he makes as himself.
  expect(asOwnerOf('/', () => process.geteuid?.())).toBe(process.geteuid?.());
});

test('a demo in this folder is named to whoever asks the machine', async () => {
  const folder = newFolder();
  const before = process.cwd();
  process.chdir(folder);
  onTestFinished(() => process.chdir(before));
  const unhinted = await inProcess(['status']);
  expect([unhinted.code, unhinted.err]).toEqual([69, expect.not.stringContaining('demo')]);
  mkdirSync(join(folder, '.demo'));
  writeFileSync(join(folder, '.demo', 'agent.sock'), '');
  const { code, err } = await inProcess(['status']);
  expect([code, err]).toEqual([69, expect.stringContaining('--socket .demo/agent.sock')]);
});

test('a token that was cut in the middle is none', () => {
  const path = join(newFolder(), 'agent.sock');
  expect(ownerToken(path)).toBeUndefined();
  writeFileSync(`${path}.owner`, 'ab');
  expect(ownerToken(path)).toBeUndefined();
  mkdirSync(`${path}.d.owner`);
  expect(() => ownerToken(`${path}.d`)).toThrow('EISDIR');
});
