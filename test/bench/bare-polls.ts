/**
 * Polls a validator as the agent does, every 100 ms, and does nothing else: what the lines alone
 * cost a process. The port is its only argument; the first answer is told on standard output.
 */
import { commands } from '#hal/id003/commands.ts';
import { encodeFrame, ID003_LINE } from '#hal/id003/wire.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { systemClock } from '#protocol/base/clock.ts';

const POLL_MS = 100;

const path = process.argv[2];
if (path === undefined) throw new Error('say which port');
const port = new SystemPort({ path, clock: systemClock });
let isAnswered = false;
port.subscribe((event) => {
  if (event.kind === 'lost') throw new Error(`${path}: ${event.reason}`);
  if (!isAnswered) process.stdout.write('answered\n');
  isAnswered = true;
});
await port.open(ID003_LINE);
const status = encodeFrame(commands.statusRequest.code);
function poll(): void {
  port.write(status);
  systemClock.after(POLL_MS, poll);
}
poll();
