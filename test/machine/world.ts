/**
 * What a machine in a container has around it, run there from the repository: a relay, a bunker,
 * the operator's wallet, and two devices on ptys. Hands on a unix socket: one JSON object a line.
 */
import { chmodSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { openHardware, openWorld } from '#agent/demo/machine.ts';
import { truthOf } from '#agent/demo/truth.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { CONTROL, DEVICES, SURROUNDINGS, type Surroundings } from './surroundings.ts';

const folder = process.argv[2] ?? '';
const shared = process.argv[3] ?? '';
const context = { clock: systemClock, random: systemRandom, log: silentLog };
const world = await openWorld(context, folder, DEVICES);
const hardware = await openHardware(context, folder, DEVICES, true);
const { validator, dispenser } = hardware.ports;
// A serial port belongs to a group of which the service is; a pty belongs to whoever made it.
for (const { path } of [validator, dispenser]) chmodSync(path, 0o666);
/** A name that outlives a boot, as udev gives one to every serial port. */
function named(name: string, path: string): string {
  const link = join(folder, name);
  rmSync(link, { force: true });
  symlinkSync(path, link);
  return link;
}

const hand = z.discriminatedUnion('to', [
  z.object({ to: z.literal('insert'), denomination: z.int() }),
  z.object({ to: z.literal('delay'), ms: z.int() }),
  z.object({ to: z.literal('pay'), bolt11: z.string() }),
  z.object({ to: z.literal('claim'), lnurl: z.string() }),
  z.object({ to: z.literal('look') }),
]);

function act(command: z.infer<typeof hand>): unknown {
  switch (command.to) {
    case 'insert':
      return hardware.validator.control({ do: 'insert', denomination: command.denomination });
    case 'delay':
      // Of the response to the next notes that go out, by a slow unit.
      return hardware.dispenser.control({ do: 'fault', name: 'lateResponse', value: command.ms });
    case 'pay':
      return world.keeper.pay(command.bolt11);
    case 'claim':
      return world.keeper.claim(command.lnurl);
    case 'look':
      return { ...truthOf(hardware), books: world.keeper.books() };
  }
}

const socketPath = join(shared, CONTROL);
rmSync(socketPath, { force: true });
const server = createServer((socket) => {
  createInterface({ input: socket }).on('line', (line) => {
    try {
      const result = act(hand.parse(JSON.parse(line))) ?? null;
      socket.write(`${JSON.stringify({ ok: true, result })}\n`);
    } catch (error) {
      socket.write(`${JSON.stringify({ ok: false, reason: messageOf(error) })}\n`);
    }
  });
});
server.listen(socketPath, () => {
  const { seed, operatorPubkey, transportPubkey, walletId } = world;
  const found: Surroundings = {
    ...{ seed, operatorPubkey, transportPubkey, walletId },
    validator: named('validator', validator.path),
    dispenser: named('dispenser', dispenser.path),
  };
  writeFileSync(join(shared, SURROUNDINGS), JSON.stringify(found));
});
