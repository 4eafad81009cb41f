import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  type ControlServer,
  controlCommand,
  controlReply,
  serveControl,
} from '#hal/simulator/control.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { systemClock } from '#protocol/base/clock.ts';

let folder = '';
let path = '';
let server: ControlServer | undefined;
const sockets: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-control-'));
  path = join(folder, 'control');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

const lcdm = () =>
  new LcdmDevice({
    clock: systemClock,
    options: { cassettes: { 1: { denomination: 20, count: 5 } } },
  });

/** Writes raw text; gives one parsed reply after the other. */
async function client() {
  const socket = connect(path);
  sockets.push(socket);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const reply = async () => controlReply.parse(JSON.parse((await lines.next()).value ?? 'null'));
  return {
    write: (text: string) => socket.write(text),
    reply,
    ask: async (command: unknown) => {
      socket.write(`${JSON.stringify(command)}\n`);
      return reply();
    },
  };
}

describe('control socket', () => {
  test('one line, one reply, in order, also in pieces and several at once', async () => {
    server = await serveControl(path, lcdm());
    const { write, reply, ask } = await client();
    const state = {
      units: { 1: { denomination: 20, count: 5 } },
      reject: {},
      cashbox: {},
      path: {},
      customer: {},
    };
    expect(await ask({ do: 'state' })).toEqual({ ok: true, result: state });
    write('{"do":"cassette","posi');
    write('tion":1,"count":7}\r\n\n{"do":"state"}\n');
    expect(await reply()).toMatchObject({ ok: true, result: { units: { 1: { count: 7 } } } });
    expect(await reply()).toMatchObject({ ok: true, result: { units: { 1: { count: 7 } } } });
  });

  test.each([
    ['no JSON', '{"do":', 'usage'],
    ['another shape', '[1,2]', 'usage'],
    ['no such command', '{"do":"explode"}', 'usage'],
    ['a key too many', '{"do":"state","now":true}', 'usage'],
    ['a number that cannot be', '{"do":"cassette","position":1,"count":-4}', 'usage'],
    ['no such fault', '{"do":"fault","name":"nonsense"}', 'notFound'],
    ['hands that this device has no place for', '{"do":"insert","denomination":20}', 'usage'],
  ])('%s gets a reply, and the connection lives on', async (_, line, code) => {
    server = await serveControl(path, lcdm());
    const { write, reply, ask } = await client();
    write(`${line}\n`);
    expect(await reply()).toMatchObject({ ok: false, code, reason: expect.stringMatching(/./) });
    expect(await ask({ do: 'state' })).toMatchObject({ ok: true });
  });

  test('a line that never ends is not kept, and refused when it ends', async () => {
    server = await serveControl(path, lcdm());
    const { write, reply, ask } = await client();
    for (let count = 0; count < 100; count++) write('x'.repeat(10_000));
    write('\n');
    expect(await reply()).toMatchObject({ ok: false, code: 'usage' });
    expect(await ask({ do: 'state' })).toMatchObject({ ok: true });
  });

  test('a validator takes a note, and says when it cannot', async () => {
    const device = new Id003Device({ clock: systemClock });
    server = await serveControl(path, device);
    const { ask } = await client();
    expect(await ask({ do: 'insert', denomination: 20 })).toMatchObject({ ok: false });
    expect(await ask({ do: 'cassette', position: 1 })).toMatchObject({ ok: false, code: 'usage' });
    device.stop();
  });

  test('only its user can reach it, and closing takes the file away', async () => {
    server = await serveControl(path, lcdm());
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await server.close();
    server = undefined;
    expect(existsSync(path)).toBe(false);
  });

  test('a file left over is replaced; one in use, and one that is no socket, are not', async () => {
    const left = createServer();
    await new Promise<void>((resolve) => left.listen(path, resolve));
    await expect(serveControl(path, lcdm())).rejects.toMatchObject({ code: 'exists' });
    await new Promise<void>((resolve) => left.close(() => resolve()));
    server = await serveControl(path, lcdm());
    await server.close();
    server = undefined;
    writeFileSync(path, 'precious');
    await expect(serveControl(path, lcdm())).rejects.toMatchObject({ code: 'exists' });
    const nowhere = join(folder, 'no', 'such', 'folder');
    await expect(serveControl(nowhere, lcdm())).rejects.toMatchObject({ code: 'refused' });
  });

  test('the schema documents itself', () => {
    const schema = JSON.stringify(z.toJSONSchema(controlCommand));
    for (const word of ['insert', 'fault', 'power', 'cassette', 'cashbox', 'take', 'state']) {
      expect(schema).toContain(`"const":"${word}"`);
    }
    expect(schema).toContain('cuts the power');
    expect(JSON.stringify(z.toJSONSchema(controlReply))).toContain('where every note is');
  });
});
