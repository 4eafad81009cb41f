/** Who an ID-003 device is and which notes it knows; asked without moving anything. */
import { DeviceError } from '#protocol/base/errors.ts';
import type { DeviceIdentity } from '../cash-acceptor.ts';
import type { Port } from '../port.ts';
import { decodeStatus, type Id003Status } from './commands.ts';
import type { Id003Link } from './link.ts';
import {
  type CurrencyEntry,
  decodeCurrencyTable,
  decodeVersion,
  modelOfVersion,
} from './models.ts';

/** A device that answered. */
export interface IdentifiedDevice {
  readonly identity: DeviceIdentity;
  readonly table: readonly CurrencyEntry[];
  readonly status: Id003Status;
}

/**
 * Asks for version, currency table and state. All three are answered in the power-up states too, so
 * that no RESET is needed, which would move a note. Source: cash-hardware.md 2.5.
 * @throws DeviceError `timeOut` when it is silent, `unsupportedCommand` when it is something else.
 */
export async function identify(link: Id003Link, port: Port): Promise<IdentifiedDevice> {
  const version = await asked(link.ask('version'), 'version', port);
  const text = decodeVersion(version.data);
  if (text === undefined) throw unsupported('its version is no text', port);
  const currency = await asked(link.ask('currencyTable'), 'currency table', port);
  const table = decodeCurrencyTable(currency.data);
  if (table === undefined) throw unsupported('its currency table cannot be read', port);
  const isStatus = (frame: Parameters<typeof decodeStatus>[0]) => decodeStatus(frame) !== undefined;
  const reply = await asked(link.ask('statusRequest', [], isStatus), 'state', port);
  const status = decodeStatus(reply);
  if (status === undefined) throw unsupported('its state cannot be read', port);
  const model = modelOfVersion(text);
  const identity = { protocol: 'id003', model, firmware: text, serialNumber: undefined };
  return { identity, table, status };
}

/** Whether it is the same device, with the same notes, as before. */
export function isSameDevice(one: IdentifiedDevice, other: IdentifiedDevice): boolean {
  return (
    one.identity.firmware === other.identity.firmware &&
    JSON.stringify(one.table) === JSON.stringify(other.table)
  );
}

async function asked(
  answer: ReturnType<Id003Link['ask']>,
  what: string,
  port: Port,
): Promise<Extract<Awaited<ReturnType<Id003Link['ask']>>, object>> {
  const reply = await answer;
  if (reply === 'silent') {
    const hint = 'check its protocol switch, its cable and the port';
    throw new DeviceError('timeOut', `the validator on ${port.path} does not answer; ${hint}`, {
      recording: port.recording(),
    });
  }
  if (reply === 'refused') throw unsupported(`it does not know the command for its ${what}`, port);
  return reply;
}

function unsupported(what: string, port: Port): DeviceError {
  return new DeviceError('unsupportedCommand', `the device on ${port.path}: ${what}`, {
    recording: port.recording(),
  });
}
