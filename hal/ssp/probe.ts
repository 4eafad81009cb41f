/**
 * Who is on an SSP line, and no more. Opening a driver polls, and a POLL accepts a note that waits
 * in escrow and takes news that is told once; here nothing but questions leaves.
 */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { AcceptorBaseline, DeviceIdentity } from '../cash-acceptor.ts';
import type { Port } from '../port.ts';
import { identify } from './identify.ts';
import { isOk, SspLink } from './link.ts';
import { decodeCounters, type SspChannel, type SspModelName, sspModels } from './models.ts';
import { SSP_DEFAULTS } from './options.ts';

/** What is asked with. */
export interface SspProbeOptions {
  readonly port: Port;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly model: SspModelName;
}

/** What was answered. */
export interface SspProbe {
  readonly identity: DeviceIdentity;
  readonly channels: readonly SspChannel[];
  readonly counters: AcceptorBaseline | undefined;
}

/** Asks, and lets go of the port. @throws DeviceError as `identify` does. */
export async function probeSsp(options: SspProbeOptions): Promise<SspProbe> {
  const { port, clock, log, random, model } = options;
  const { replyTimeoutMs, fixedKey } = SSP_DEFAULTS;
  const ignore = () => undefined;
  const link = new SspLink({ port, clock, log, replyTimeoutMs, onLost: ignore, onBroken: ignore });
  try {
    await link.line.open();
    const found = await identify({ link, port, model: sspModels[model], random, fixedKey });
    const reply = await link.ask('getCounters');
    const isTold = typeof reply !== 'string' && isOk(reply);
    const counters = isTold ? decodeCounters(reply.data) : undefined;
    return { identity: found.identity, channels: found.channels, counters };
  } finally {
    await link.line.close();
  }
}
