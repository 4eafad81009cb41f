/**
 * A device that was unplugged and is back, or is another one than before: where the configuration
 * says so, a person has to accept it before its direction opens again.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { DeviceIdentity } from '#hal/cash-acceptor.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { Parts } from '../parts.ts';
import type { Direction } from './reasons.ts';

/** The two devices. */
export type Device = 'acceptor' | 'dispenser';

/** Who accepts a device, and why; for the record. */
export interface DeviceAcceptance {
  readonly by: string;
  readonly reason: string;
}

const DIRECTION: Readonly<Record<Device, Direction>> = { acceptor: 'cashIn', dispenser: 'cashOut' };
const NAME: Readonly<Record<Device, string>> = { acceptor: 'validator', dispenser: 'dispenser' };

const identitySchema = z.object({
  protocol: z.string(),
  model: z.string(),
  firmware: z.string(),
  serialNumber: z.string().nullable(),
});
const waitingSchema = z.object({ why: z.enum(['unplugged', 'another']), atUnixMs: z.int() });

const knownKey = (device: Device): string => `device.${device}`;
const waitingKey = (device: Device): string => `replug.${device}`;

type ReplugParts = Pick<Parts, 'store' | 'clock' | 'board' | 'config' | 'log'>;
type Waiting = z.output<typeof waitingSchema>;

/** Keeps in mind which devices wait for a person, over restarts too. */
export class ReplugGuard {
  readonly #parts: ReplugParts;
  readonly #waiting = new Map<Device, Waiting>();

  constructor(parts: ReplugParts) {
    this.#parts = parts;
    if (!parts.config.replugNeedsPerson) return;
    for (const device of ['acceptor', 'dispenser'] as const) {
      const kept = waitingSchema.safeParse(parts.store.facts.get(waitingKey(device))?.value);
      if (kept.success) this.#waiting.set(device, kept.data);
      this.#tell(device);
    }
  }

  /** Its cable was pulled, or its power cut, while the machine was running. */
  gone(device: Device): void {
    this.#wait(device, 'unplugged');
  }

  /** It has said who it is. Another one than last time was put in while the machine was off. */
  identified(device: Device, { serialNumber, ...identity }: DeviceIdentity): void {
    const { store, clock } = this.#parts;
    const found = { ...identity, serialNumber: serialNumber ?? null };
    const known = identitySchema.safeParse(store.facts.get(knownKey(device))?.value).data;
    if (isDeepStrictEqual(known, found)) return;
    if (known) this.#wait(device, 'another');
    store.commit(() => store.facts.put(knownKey(device), found, clock.now()));
  }

  /** A person has looked at it. False when it waited for nobody. */
  accept(device: Device, { by, reason }: DeviceAcceptance): boolean {
    const { store } = this.#parts;
    const waiting = this.#waiting.get(device);
    if (!waiting) return false;
    const identity = store.facts.get(knownKey(device))?.value ?? null;
    store.commit(() => {
      store.facts.remove(waitingKey(device));
      const body = { device, why: waiting.why, identity, by, reason };
      store.journal.append('device.accepted', body);
    });
    this.#waiting.delete(device);
    this.#tell(device);
    return true;
  }

  /** Also when the disk does not take it: the direction is closed at least for this run. */
  #wait(device: Device, why: Waiting['why']): void {
    const { store, clock, config, log } = this.#parts;
    if (!config.replugNeedsPerson || this.#waiting.has(device)) return;
    const waiting = { why, atUnixMs: clock.now() };
    this.#waiting.set(device, waiting);
    this.#tell(device);
    try {
      store.commit(() => {
        store.facts.put(waitingKey(device), waiting, waiting.atUnixMs);
        store.journal.append('device.replugged', { device, why });
      });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log.error({ device, reason: error.message }, 'replug not written');
    }
  }

  #tell(device: Device): void {
    const waiting = this.#waiting.get(device);
    const name = NAME[device];
    const what =
      waiting?.why === 'another' ? 'is another one than before' : 'was unplugged or without power';
    const text = waiting && `The ${name} ${what}; a person has to look at it and accept it.`;
    this.#parts.board.set(DIRECTION[device], 'replugged', text);
  }
}
