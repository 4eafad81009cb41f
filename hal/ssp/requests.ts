/** What the driver asks of a device beside polling it: one function each, over a link. */
import type { CashAcceptorEvent } from '../cash-acceptor.ts';
import { type CommandName, hexCode, rejectCodes, replies } from './commands.ts';
import { isOk, type SspLink } from './link.ts';
import { inhibitMask } from './models.ts';

/**
 * Sends REJECT once, unless it is not wanted any more just before. `refused`: the device says that
 * it did nothing. Undefined when it did not leave, or was not answered.
 */
export async function reject(
  link: SspLink,
  beforeSend: () => boolean,
): Promise<'done' | 'refused' | undefined> {
  const reply = await link.exchange({ command: 'reject', beforeSend });
  if (typeof reply === 'string') return undefined;
  return isOk(reply) ? 'done' : 'refused';
}

/** Asks why the device gave the last note back. */
export async function askWhy(link: SspLink): Promise<CashAcceptorEvent> {
  const reply = await link.ask('lastRejectCode');
  const code = isOk(reply) ? reply.data[1] : undefined;
  const reason = rejectCodes[code ?? -1]?.reason ?? 'other';
  const words = code === undefined ? 'EC' : `EC:${hexCode(code)}`;
  return { kind: 'note.refused', reason, code: words };
}

/** Sends EVENT ACK; whether nothing waits for one any more. */
export async function acknowledge(link: SspLink): Promise<boolean> {
  const reply = await link.ask('eventAck');
  if (typeof reply === 'string') return false;
  // Nothing to acknowledge any more is as good.
  return isOk(reply) || reply.code === replies.cannotBeProcessed;
}

/** Sends RESET, its frame once; whether it was acknowledged. */
export async function reset(link: SspLink): Promise<boolean> {
  // A device that starts again has forgotten the sequence flag, and would start twice.
  return isOk(await link.exchange({ command: 'reset', attempts: 1 }));
}

/** A setting that the device did not confirm. */
export interface Unconfirmed {
  readonly command: CommandName;
  /** Its answer; undefined for none. */
  readonly code: number | undefined;
}

/** Shuts the slot; undefined when the device has confirmed it. */
export function shutSlot(link: SspLink): Promise<Unconfirmed | undefined> {
  return set(link, 'disable', []);
}

/** Sets which channels are taken; undefined when the device has confirmed it. */
export function setChannels(
  link: SspLink,
  channels: readonly number[],
): Promise<Unconfirmed | undefined> {
  return set(link, 'setInhibits', inhibitMask(channels));
}

/** Opens the slot for the channels that were set; undefined when the device has confirmed it. */
export function openSlot(link: SspLink): Promise<Unconfirmed | undefined> {
  return set(link, 'enable', []);
}

async function set(
  link: SspLink,
  command: 'disable' | 'setInhibits' | 'enable',
  data: readonly number[],
): Promise<Unconfirmed | undefined> {
  const reply = await link.ask(command, data);
  if (isOk(reply)) return undefined;
  return { command, code: typeof reply === 'string' ? undefined : reply.code };
}
