import assert from 'node:assert';
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';
import { createActor } from 'xstate';
import { effect, given, outcomeAs, stub } from '#agent/machines/effect.ts';

test('an ordinary fault is the machine’s to handle', async () => {
  const actor = createActor(effect(() => Promise.reject(new Error('ordinary'))));
  const failed = new Promise((resolve) => actor.subscribe({ error: resolve }));
  actor.start();
  expect(await failed).toMatchObject({ message: 'ordinary' });
});

test('an effect gets its input, and a signal that ends with the machine’s interest', async () => {
  const heard = Promise.withResolvers<AbortSignal>();
  const endless = effect(async (input: string, signal) => {
    expect(input).toBe('told');
    heard.resolve(signal);
    return new Promise<never>(() => undefined);
  });
  const actor = createActor(endless, { input: 'told' });
  actor.start();
  const signal = await heard.promise;
  expect(signal.aborted).toBe(false);
  actor.stop();
  expect(signal.aborted).toBe(true);
});

test('an effect that was not supplied says which one', async () => {
  const actor = createActor(stub<void>('deposit'));
  const failed = new Promise((resolve) => actor.subscribe({ error: resolve }));
  actor.start();
  expect(await failed).toMatchObject({ message: 'actor not provided: deposit' });
});

test('a failed assertion is thrown where nobody catches it', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const kept = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', resolve);
  try {
    const actor = createActor(effect(async () => assert.fail('a bug')));
    actor.subscribe({ error: () => undefined });
    actor.start();
    expect(await promise).toMatchObject({ name: 'AssertionError', message: 'a bug' });
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of kept) process.on('uncaughtException', listener);
  }
});

test('what a session has by now is given, or the machine is wrong', () => {
  expect(given(0, 'plan')).toBe(0);
  expect(() => given(null, 'plan')).toThrow('the session has no plan yet');
  expect(outcomeAs({ kind: 'paid' }, 'paid')).toEqual({ kind: 'paid' });
  const outcome: { kind: 'paid' } | { kind: 'held' } = { kind: 'paid' };
  expect(() => outcomeAs<typeof outcome | { kind: 'held' }, 'held'>(outcome, 'held')).toThrow(
    'the outcome is paid and not held',
  );
});

test('a failed assertion kills the process', async () => {
  const script = `
    import assert from 'node:assert';
    import { createActor } from 'xstate';
    import { effect } from '#agent/machines/effect.ts';
    const actor = createActor(effect(async () => assert(false, 'a bug')));
    actor.subscribe({ error: () => undefined });
    actor.start();
    setInterval(() => undefined, 1000);`;
  const args = ['--input-type=module', '--eval', script];
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { timeout: 20_000 }, (_error, _out, err) => resolve(err));
  });
  expect(said).toContain('AssertionError');
  expect(said).toContain('a bug');
});
