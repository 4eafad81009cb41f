/**
 * Begins a session: sequence flag, keys, who the device is and which notes it knows. Nothing here
 * moves a note: POLL is not among it.
 * Source: cash-hardware.md 5.5 and 5.6; GA138, protocol versions.
 */
import type { Random } from '#protocol/base/clock.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import type { Port } from '../port.ts';
import { type CommandName, commands, hexCode, replies } from './commands.ts';
import {
  intermediateOf,
  KEY_NUMBER_BYTES,
  newKeyOffer,
  numberBytes,
  numberOf,
  SspEnvelope,
  sessionKey,
} from './encryption.ts';
import { isOk, type SspAnswer, type SspLink, type SspReply } from './link.ts';
import {
  ascii,
  decodeSetup,
  modelOfFirmware,
  type SspChannel,
  type SspModel,
  type SspSetup,
  unitTypes,
  VALIDATOR_UNIT,
} from './models.ts';

/**
 * Event lists of these versions are known here; newer ones bring events of unknown length. Some
 * firmware refuses 6. Source: cash-hardware.md 5.4.
 */
const PROTOCOL_VERSIONS = [6, 5, 4] as const;
/** A device may need seconds to compute its half of the key. */
const KEY_ATTEMPTS = 6;

/** A device that answered. */
export interface IdentifiedDevice {
  readonly identity: DeviceIdentity;
  readonly channels: readonly SspChannel[];
  readonly protocolVersion: number;
  /** It had another protocol version than we give it: it has started since, or is starting. */
  readonly hasStarted: boolean;
}

/** What identifying needs. */
export interface IdentifyParts {
  readonly link: SspLink;
  readonly port: Port;
  readonly model: SspModel;
  readonly random: Random;
  readonly fixedKey: bigint;
}

/**
 * Asks who is there.
 * @throws DeviceError `timeOut` when it is silent, `unsupportedCommand` when it is another device
 * than the configured one.
 */
export async function identify(parts: IdentifyParts): Promise<IdentifiedDevice> {
  const { link, model } = parts;
  const sync = await link.sync();
  // A device without keys may say so even to SYNC; it is in step all the same.
  if (typeof sync === 'string') throw silent(parts, 'SYNC');
  if (model.encrypted) await agreeKeys(parts);
  const before = await readSetup(parts);
  if (before.unitType !== VALIDATOR_UNIT) {
    const name = unitTypes[before.unitType] ?? `unit type ${hexCode(before.unitType)}`;
    throw other(parts, `it is a ${name} and no ${unitTypes[VALIDATOR_UNIT]}`);
  }
  for (const version of PROTOCOL_VERSIONS) {
    const reply = heard(parts, 'hostProtocolVersion', await set(link, version));
    if (isOk(reply)) break;
  }
  const setup = await readSetup(parts);
  const serial = await required(parts, 'getSerialNumber');
  if (serial.data.length < 5) throw other(parts, 'its serial number cannot be read');
  const serialNumber = String(Buffer.from(serial.data).readUInt32BE(1));
  const full = heard(parts, 'getFirmwareVersion', await link.ask('getFirmwareVersion'));
  const firmware = isOk(full) ? ascii(full.data.subarray(1)) : setup.firmware;
  const identity = {
    protocol: 'ssp',
    model: modelOfFirmware(firmware) ?? 'SSP validator',
    firmware,
    serialNumber,
  };
  const { channels, protocolVersion } = setup;
  const hasStarted = before.protocolVersion !== protocolVersion;
  return { identity, channels, protocolVersion, hasStarted };
}

/** Refuses a device that is not the one that was there before. @throws DeviceError */
export function requireSame(
  known: IdentifiedDevice | undefined,
  found: IdentifiedDevice,
  parts: Pick<IdentifyParts, 'port' | 'model'>,
): void {
  if (!known) return;
  const { model, serialNumber } = found.identity;
  if (known.identity.serialNumber !== serialNumber || known.identity.model !== model) {
    const was = `${known.identity.model} with serial number ${known.identity.serialNumber}`;
    throw other(parts, `it is a ${model} with serial number ${serialNumber} and not the ${was}`);
  }
  if (JSON.stringify(known.channels) !== JSON.stringify(found.channels)) {
    throw other(parts, 'its notes are not those that it had before');
  }
}

function set(link: SspLink, version: number): Promise<SspReply> {
  return link.ask('hostProtocolVersion', [version]);
}

async function agreeKeys(parts: IdentifyParts): Promise<void> {
  const { link, random, fixedKey } = parts;
  const offer = newKeyOffer(random);
  const send = async (command: 'setGenerator' | 'setModulus' | 'requestKeyExchange', n: bigint) => {
    const reply = await link.ask(command, numberBytes(n), KEY_ATTEMPTS);
    const answer = heard(parts, command, reply);
    if (!isOk(answer)) {
      throw other(parts, `it cannot encrypt (${hexCode(answer.code)}); configure it as ssp`);
    }
    return answer.data;
  };
  await send('setGenerator', offer.generator);
  await send('setModulus', offer.modulus);
  const data = await send('requestKeyExchange', intermediateOf(offer));
  if (data.length !== 1 + KEY_NUMBER_BYTES) throw other(parts, 'its key cannot be read');
  const key = sessionKey(offer, numberOf(data.subarray(1)), fixedKey);
  link.useKeys(new SspEnvelope(key, random));
}

async function readSetup(parts: IdentifyParts): Promise<SspSetup> {
  const answer = await required(parts, 'setupRequest');
  const unitType = answer.data[1] ?? 0;
  const setup = decodeSetup(answer.data);
  if (setup) return setup;
  // A unit of another type answers in a form of its own.
  if (unitType !== VALIDATOR_UNIT) {
    return { unitType, firmware: '', protocolVersion: 0, channels: [] };
  }
  throw other(parts, 'its setup cannot be read');
}

/** Asks what every validator must answer. @throws DeviceError */
async function required(
  parts: Pick<IdentifyParts, 'link' | 'port' | 'model'>,
  command: 'setupRequest' | 'getSerialNumber',
): Promise<SspAnswer> {
  const answer = heard(parts, command, await parts.link.ask(command));
  if (isOk(answer)) return answer;
  if (answer.code === replies.keyNotSet) {
    throw other(parts, 'it wants to be spoken to encrypted; configure it as essp');
  }
  throw other(parts, `it answers ${describe(command)} with ${hexCode(answer.code)}`);
}

/** The answer, if there was one. @throws DeviceError `timeOut` */
export function heard(
  parts: Pick<IdentifyParts, 'port' | 'model'>,
  command: CommandName,
  reply: SspReply,
): SspAnswer {
  if (typeof reply === 'string') throw silent(parts, describe(command));
  return reply;
}

function describe(command: CommandName): string {
  return `${command} (${hexCode(commands[command].code)})`;
}

function silent({ port }: Pick<IdentifyParts, 'port'>, what: string): DeviceError {
  const hint = 'check its protocol switch, its cable and the port';
  return new DeviceError('timeOut', `no validator on ${port.path} answers ${what}; ${hint}`, {
    recording: port.recording(),
  });
}

/** Another device than the configured one. */
export function other({ port, model }: Pick<IdentifyParts, 'port' | 'model'>, why: string) {
  return new DeviceError('unsupportedCommand', `not the ${model.name} on ${port.path}: ${why}`, {
    recording: port.recording(),
  });
}
