/**
 * Who an EBDS device is and which notes it knows; asked without moving anything. The first poll
 * tells the model, and only then is anything asked that other models understand differently.
 */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import { closedWhile } from '../line.ts';
import type { Port } from '../port.ts';
import {
  type AuxiliaryName,
  auxiliaryCommands,
  type EbdsReply,
  type EbdsStatus,
  type ExtendedNote,
  extendedCommands,
  has,
  hexCode,
  modelCode,
  revision,
} from './commands.ts';
import type { EbdsAnswer, EbdsLink, EbdsRequest } from './link.ts';
import {
  decodeText,
  type EbdsModelName,
  ebdsModels,
  isExtendedCode,
  modelOfPartNumber,
  modelsOfCode,
  NOTE_INDEX_MAX,
} from './models.ts';
import { type EbdsSettings, omnibusBytes, quietSettings } from './settings.ts';

/** Pace of waiting for a device that is still starting. */
const STARTING_POLL_MS = 200;
/** Longest start. Source: cash-hardware.md 4.5: up to 15 s after a reset. */
const STARTING_LIMIT_MS = 20_000;
/** What a device says in its control byte. */
const ACCEPTOR = 0;
const RECYCLER = 1;
/** Polls for one new status: a first one may only repeat an old reply, of any kind. */
const STATUS_POLLS = 3;

/** A device that answered. */
export interface IdentifiedDevice {
  readonly identity: DeviceIdentity;
  readonly model: EbdsModelName;
  /** The note table; empty for a family whose channels are numbered. */
  readonly table: readonly ExtendedNote[];
}

/** What identifying needs. */
export interface IdentifyOptions {
  readonly link: EbdsLink;
  readonly port: Port;
  readonly clock: Clock;
  /** The family that is configured; any that is known when left out. */
  readonly wanted: EbdsModelName | undefined;
  readonly isClosed: () => boolean;
}

/**
 * Polls until the device has started, then asks for part number, serial number and note table.
 * @throws DeviceError `canceled` when it is closed meanwhile, `timeOut` when it is silent,
 * `unsupportedCommand` when it is another device than the configured one.
 */
export async function identify(options: IdentifyOptions): Promise<IdentifiedDevice> {
  const status = await startedStatus(options);
  const { deviceType } = status;
  if (deviceType === RECYCLER) throw unsupported(options, 'a recycler, which is not supported');
  if (deviceType !== ACCEPTOR) throw unsupported(options, `a device of type ${deviceType}`);
  const candidates = modelsOfCode(modelCode(status));
  if (candidates.length === 0) {
    throw unsupported(options, `a device of the unknown model ${hexCode(modelCode(status))}`);
  }
  const numbered = candidates.find((name) => ebdsModels[name].notes.kind === 'channels');
  if (numbered) {
    const firmware = `revision ${revision(status) / 10}`;
    return { ...known(options, numbered, firmware, undefined), table: [] };
  }
  const partNumber = (await auxiliaryText(options, 'applicationPartNumber')) ?? 'none';
  const model = modelOfPartNumber(partNumber, candidates);
  if (!model) {
    const titles = candidates.map((name) => ebdsModels[name].title).join(' or ');
    throw unsupported(options, `the application part number ${partNumber}, of no ${titles}`);
  }
  const variant = (await auxiliaryText(options, 'variantName')) ?? '';
  const serialNumber = await auxiliaryText(options, 'serialNumber');
  const device = known(options, model, `${partNumber} ${variant}`.trim(), serialNumber);
  return { ...device, table: await noteTable(options) };
}

/** The device by its family. @throws DeviceError when another family is configured. */
function known(
  options: IdentifyOptions,
  model: EbdsModelName,
  firmware: string,
  serialNumber: string | undefined,
): Omit<IdentifiedDevice, 'table'> {
  const { title } = ebdsModels[model];
  if (options.wanted !== undefined && options.wanted !== model) {
    throw unsupported(options, `a ${title}; a ${ebdsModels[options.wanted].title} is configured`);
  }
  return { identity: { protocol: 'ebds', model: title, firmware, serialNumber }, model };
}

/** Refuses a device that is not the one that was there before. @throws DeviceError */
export function requireSame(
  known: IdentifiedDevice | undefined,
  found: IdentifiedDevice,
  parts: Pick<IdentifyOptions, 'port'>,
): void {
  if (!known) return;
  const name = ({ model, firmware, serialNumber }: DeviceIdentity) =>
    `${model} ${firmware} with serial number ${serialNumber ?? 'none'}`;
  const [is, was] = [name(found.identity), name(known.identity)];
  if (is !== was) throw unsupported(parts, `a ${is} and not the ${was}`);
  if (JSON.stringify(known.table) !== JSON.stringify(found.table)) {
    throw unsupported(parts, 'a device whose notes are not those that it had before');
  }
}

/** Whether a reply is a status, which answers every omnibus command. */
export function isStatus(reply: EbdsReply): boolean {
  return reply.kind === 'status';
}

/**
 * A status once the device has done what it does at power-up, and no note is being stacked. The
 * first poll says nothing that not every model knows; those after it ask for notes to be described
 * where that is known, so that a credit names its note.
 */
async function startedStatus(options: IdentifyOptions): Promise<EbdsStatus> {
  const { clock } = options;
  const untilMs = clock.monotonic() + STARTING_LIMIT_MS;
  let settings = quietSettings;
  for (;;) {
    const status = await polledStatus(options, settings);
    const isStarting = has(status, 'powerUp') || has(status, 'stacking');
    if (!isStarting || clock.monotonic() >= untilMs) return status;
    settings = { enabled: 0, extended: isExtendedCode(modelCode(status)) };
    await sleep(clock, STARTING_POLL_MS);
  }
}

async function polledStatus(options: IdentifyOptions, settings: EbdsSettings): Promise<EbdsStatus> {
  for (let poll = 0; poll < STATUS_POLLS; poll++) {
    const { reply, performed } = await answered(options, {
      command: 'poll',
      data: () => omnibusBytes(settings),
      accepts: isStatus,
    });
    if (performed && reply.kind === 'status') return reply.status;
  }
  throw unsupported(options, 'a device that does not understand a poll');
}

async function auxiliaryText(
  options: IdentifyOptions,
  name: AuxiliaryName,
): Promise<string | undefined> {
  const { code, replyBytes } = auxiliaryCommands[name];
  const { reply } = await answered(options, {
    command: 'auxiliary',
    data: () => [0, 0, code],
    // A device that does not know the question answers as to a poll.
    accepts: (reply) => reply.kind === 'status' || reply.data.length === replyBytes,
  });
  return reply.kind === 'auxiliary' ? decodeText(reply.data) : undefined;
}

async function noteTable(options: IdentifyOptions): Promise<readonly ExtendedNote[]> {
  const table: ExtendedNote[] = [];
  for (let index = 1; index <= NOTE_INDEX_MAX; index++) {
    const { reply } = await answered(options, {
      command: 'noteSpecification',
      data: () => [
        extendedCommands.noteSpecification,
        ...omnibusBytes({ enabled: 0, extended: true }),
        index,
      ],
      accepts: isStatus,
    });
    const note = reply.kind === 'status' ? reply.status.note : undefined;
    if (!note || note.index !== index) return table;
    table.push(note);
  }
  return table;
}

async function answered(
  options: IdentifyOptions,
  request: EbdsRequest,
): Promise<Exclude<EbdsAnswer, string>> {
  const answer = await options.link.exchange(request);
  if (typeof answer !== 'string') return answer;
  throw options.isClosed() ? closedWhile(options.port, 'identifying') : silent(options);
}

function silent({ port }: IdentifyOptions): DeviceError {
  const hint = 'check its protocol switch, its cable and the port';
  const words = `the validator on ${port.path} does not answer; ${hint}`;
  return new DeviceError('timeOut', words, { recording: port.recording() });
}

function unsupported({ port }: Pick<IdentifyOptions, 'port'>, what: string): DeviceError {
  return new DeviceError('unsupportedCommand', `on ${port.path} there is ${what}`, {
    recording: port.recording(),
  });
}
