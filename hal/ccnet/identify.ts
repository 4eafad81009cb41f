/**
 * Who a CCNET device is and which notes it knows; asked without moving anything. It answers such
 * questions in some states only: one that idles is disabled first, and one with a note inside is
 * waited for, as it finishes by itself (a note in escrow goes back after about 10 s).
 */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import { closedWhile } from '../line.ts';
import type { Port } from '../port.ts';
import {
  answeringStatuses,
  billToBillStatuses,
  type CcnetStatus,
  decodeStatus,
  describeStatus,
} from './commands.ts';
import type { CcnetLink } from './link.ts';
import {
  type BillType,
  billTypesData,
  type CcnetModelName,
  ccnetModels,
  decodeBillTable,
  decodeIdentification,
  modelOfPartNumber,
} from './models.ts';

/** Pace of waiting for a state in which it answers. */
const WAIT_POLL_MS = 200;
/** Longest wait for that: stacking or escrow, its time-out, and giving back. */
const WAIT_LIMIT_MS = 25_000;
/** Unanswered polls in a row that end the wait. */
const MISSES_MAX = 3;

/** A device that answered. */
export interface IdentifiedDevice {
  readonly identity: DeviceIdentity;
  readonly table: readonly BillType[];
}

/** What identifying needs. */
export interface IdentifyParts {
  readonly link: CcnetLink;
  readonly port: Port;
  readonly clock: Clock;
  /** The family that is configured; any when left out. */
  readonly wanted: CcnetModelName | undefined;
  /** Every state heard on the way: it may tell where a note went. */
  readonly onStatus: (status: CcnetStatus) => void;
  readonly isClosed: () => boolean;
}

/**
 * Waits until the device answers questions, then asks who it is and for its bill table.
 * @throws DeviceError `canceled` when it is closed meanwhile, `timeOut` when it is silent,
 * `deviceNotReady` when a note stays inside for too long, `unsupportedCommand` when it is another
 * device than the configured one.
 */
export async function identify(parts: IdentifyParts): Promise<IdentifiedDevice> {
  await reachAnsweringState(parts);
  const { link } = parts;
  const said = heard(parts, await link.ask('identification'), 'who it is');
  const found = decodeIdentification(said);
  if (!found) throw other(parts, 'its identification cannot be read');
  const name = modelOfPartNumber(found.partNumber);
  const model = name === undefined ? `unknown (${found.partNumber})` : ccnetModels[name].title;
  if (parts.wanted !== undefined && parts.wanted !== name) {
    throw other(parts, `it is a ${model}; a ${ccnetModels[parts.wanted].title} is configured`);
  }
  const table = decodeBillTable(heard(parts, await link.ask('getBillTable'), 'its bill table'));
  if (!table) throw other(parts, 'its bill table cannot be read');
  const { partNumber: firmware, serialNumber } = found;
  return { identity: { protocol: 'ccnet', model, firmware, serialNumber }, table };
}

/** Refuses a device that is not the one that was there before. @throws DeviceError */
export function requireSame(
  known: IdentifiedDevice | undefined,
  found: IdentifiedDevice,
  parts: Pick<IdentifyParts, 'port'>,
): void {
  if (!known) return;
  const name = ({ model, firmware, serialNumber }: DeviceIdentity) =>
    `${model} ${firmware} with serial number ${serialNumber ?? 'none'}`;
  const [is, was] = [name(found.identity), name(known.identity)];
  if (is !== was) throw other(parts, `it is a ${is} and not the ${was}`);
  if (JSON.stringify(known.table) !== JSON.stringify(found.table)) {
    throw other(parts, 'its notes are not those that it had before');
  }
}

/** Polls until the device is in a state in which it answers; disables one that idles. */
async function reachAnsweringState(parts: IdentifyParts): Promise<void> {
  const { link, clock } = parts;
  const untilMs = clock.monotonic() + WAIT_LIMIT_MS;
  for (let misses = 0; misses < MISSES_MAX; ) {
    const status = await polled(parts);
    if (parts.isClosed()) throw closedWhile(parts.port, 'identifying');
    misses = status ? 0 : misses + 1;
    if (!status) continue;
    if (answeringStatuses.has(status.name)) return;
    if (clock.monotonic() >= untilMs) throw stillBusy(parts, status);
    if (status.name === 'idling' || status.name === 'billStacked') {
      // Switching off moves nothing, and nothing is inside. A credit that waits for its ACK is said
      // instead of the state behind it, so that one is not waited for: it is switched off now, or
      // out of service and has refused that.
      const answer = await link.ask('enableBillTypes', billTypesData([]));
      if (answer !== 'silent' && status.name === 'billStacked') return;
    } else await sleep(clock, WAIT_POLL_MS);
  }
  throw silent(parts);
}

async function polled(parts: IdentifyParts): Promise<CcnetStatus | undefined> {
  const reply = await parts.link.exchange({ command: 'poll' });
  if (typeof reply === 'string') return undefined;
  const status = decodeStatus(reply);
  if (status) parts.onStatus(status);
  const doing = billToBillStatuses[reply[0] ?? 0];
  if (!status && doing !== undefined) throw other(parts, `it is a bill-to-bill unit, ${doing}`);
  return status;
}

function heard(
  parts: IdentifyParts,
  reply: Awaited<ReturnType<CcnetLink['ask']>>,
  what: string,
): Uint8Array {
  if (reply === 'silent')
    throw parts.isClosed() ? closedWhile(parts.port, 'identifying') : silent(parts);
  if (reply === 'refused') throw other(parts, `it does not tell ${what}`);
  return reply;
}

function silent({ port }: Pick<IdentifyParts, 'port'>): DeviceError {
  const hint = 'check its protocol switch, its cable and the port';
  return new DeviceError('timeOut', `the validator on ${port.path} does not answer; ${hint}`, {
    recording: port.recording(),
  });
}

function stillBusy({ port }: Pick<IdentifyParts, 'port'>, status: CcnetStatus): DeviceError {
  const words = `the validator on ${port.path} cannot be asked who it is`;
  return new DeviceError('deviceNotReady', `${words}: ${describeStatus(status)}`, {
    recording: port.recording(),
  });
}

function other({ port }: Pick<IdentifyParts, 'port'>, what: string): DeviceError {
  return new DeviceError('unsupportedCommand', `the device on ${port.path}: ${what}`, {
    recording: port.recording(),
  });
}
