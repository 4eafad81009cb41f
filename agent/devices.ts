/** The drivers by protocol: a further device is one entry here. */
import type { AcceptorBaseline, CashAcceptor, DeviceIdentity } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { CcnetAcceptor } from '#hal/ccnet/driver.ts';
import { ccnetModels } from '#hal/ccnet/models.ts';
import { EbdsAcceptor } from '#hal/ebds/driver.ts';
import { ebdsModels } from '#hal/ebds/models.ts';
import { F56Dispenser } from '#hal/f56/driver.ts';
import { f56Models } from '#hal/f56/models.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { lcdmModels } from '#hal/lcdm/models.ts';
import type { Port } from '#hal/port.ts';
import { SioAcceptor } from '#hal/sio/driver.ts';
import { sioModels } from '#hal/sio/models.ts';
import { SspAcceptor } from '#hal/ssp/driver.ts';
import { sspModels } from '#hal/ssp/models.ts';
import { probeSsp } from '#hal/ssp/probe.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';

/** What a driver is opened with. */
export interface DeviceOptions {
  readonly protocol: string;
  /** The protocol's first model when left out. */
  readonly model: string | undefined;
  /** Face values by channel, for a validator that cannot be asked for them. */
  readonly channels?: readonly number[] | undefined;
  readonly port: Port;
  readonly clock: Clock;
  /** For keys that are agreed with a device. */
  readonly random: Random;
  readonly log: Log;
  /** How often an idle device is asked, ms; the driver's own when left out. */
  readonly pollMs?: number | undefined;
}

/** The driver with the flight recorder of its port: one place for all drivers. */
const recorded = <Driver extends object>(driver: Driver, port: Port) =>
  Object.assign(driver, { recording: () => port.recording() });

/**
 * Makes the validator's driver. @throws ConfigError `unsupportedCommand` for an unknown
 * protocol.
 */
export function makeAcceptor(options: DeviceOptions & { currency: string }): CashAcceptor {
  return recorded(acceptorOf(options), options.port);
}

function acceptorOf(options: DeviceOptions & { currency: string }): CashAcceptor {
  const { protocol, port, clock, random, log, currency, pollMs } = options;
  const common = { currency, ...(pollMs === undefined ? {} : { pollMs }) };
  switch (protocol) {
    case 'ccnet': {
      // Emulations have part numbers of their own: where no model is named, any will do.
      const named = options.model === undefined ? {} : { model: modelOf(options, ccnetModels) };
      return new CcnetAcceptor({ port, clock, log, options: { ...common, ...named } });
    }
    case 'ebds':
      return new EbdsAcceptor({
        port,
        clock,
        log,
        options: { model: modelOf(options, ebdsModels), ...common },
      });
    case 'id003':
      return new Id003Acceptor({ port, clock, log, options: common });
    case 'sio': {
      const { channels } = options;
      if (!channels) {
        throw new ConfigError(
          'invalidData',
          'sio needs `channels`: the face value on each of them',
        );
      }
      const model = modelOf(options, sioModels);
      return new SioAcceptor({ port, clock, log, options: { model, currency, channels } });
    }
    case 'ssp':
      return new SspAcceptor({
        port,
        clock,
        log,
        random,
        options: { model: modelOf(options, sspModels), ...common },
      });
    default:
      throw new ConfigError(
        'unsupportedCommand',
        `no validator speaks ${protocol}; ccnet, ebds, id003, sio, ssp do`,
      );
  }
}

/**
 * Makes the dispenser's driver. @throws ConfigError `unsupportedCommand` for an unknown
 * protocol.
 */
export function makeDispenser(options: DeviceOptions): CashDispenser {
  return recorded(dispenserOf(options), options.port);
}

function dispenserOf(options: DeviceOptions): CashDispenser {
  const { protocol, port, clock, log, pollMs } = options;
  const common = pollMs === undefined ? {} : { pollMs };
  switch (protocol) {
    case 'f56':
      return new F56Dispenser({
        port,
        clock,
        log,
        options: { model: modelOf(options, f56Models), ...common },
      });
    case 'lcdm':
      return new LcdmDispenser({
        port,
        clock,
        log,
        options: { model: modelOf(options, lcdmModels), ...common },
      });
    default:
      throw new ConfigError('unsupportedCommand', `no dispenser speaks ${protocol}; f56, lcdm do`);
  }
}

/** What a device says when it is only asked. */
export interface Questioned {
  readonly identity: DeviceIdentity;
  /** Face values of the notes that it knows in the currency. */
  readonly notes: readonly number[];
  readonly counters: AcceptorBaseline | undefined;
}

/** A protocol as a technician's probe tries it on a line of which it does not know the device. */
export interface ProbedProtocol {
  readonly device: 'validator' | 'dispenser';
  readonly protocol: string;
  /** Tried one after the other; undefined for any. */
  readonly models: readonly (string | undefined)[];
  /** Only asks, where opening the driver may move a note or take news that is told once. */
  readonly ask?: (options: DeviceOptions & { currency: string }) => Promise<Questioned>;
}

/**
 * What is tried, in this order. SIO first: its two commands are single bytes that frames with a
 * checksum pass over, whereas any byte of such a frame may be a command to it.
 */
export const probedProtocols: readonly ProbedProtocol[] = [
  { device: 'validator', protocol: 'sio', models: Object.keys(sioModels) },
  { device: 'validator', protocol: 'id003', models: [undefined] },
  { device: 'validator', protocol: 'ccnet', models: [undefined] },
  { device: 'validator', protocol: 'ebds', models: Object.keys(ebdsModels) },
  { device: 'validator', protocol: 'ssp', models: Object.keys(sspModels), ask: askSsp },
  { device: 'dispenser', protocol: 'lcdm', models: Object.keys(lcdmModels) },
  { device: 'dispenser', protocol: 'f56', models: Object.keys(f56Models) },
];

async function askSsp(options: DeviceOptions & { currency: string }): Promise<Questioned> {
  const model = modelOf(options, sspModels);
  const { channels, ...found } = await probeSsp({ ...options, model });
  const known = channels.filter(({ currency }) => currency === options.currency);
  return { ...found, notes: known.map(({ denomination }) => denomination) };
}

/** The model that is meant. @throws ConfigError `unsupportedCommand` for an unknown one. */
function modelOf<Name extends string>(
  { protocol, model }: Pick<DeviceOptions, 'protocol' | 'model'>,
  models: Readonly<Record<Name, unknown>>,
): Name {
  const names = Object.keys(models).filter((name): name is Name => Object.hasOwn(models, name));
  const found = model === undefined ? names[0] : names.find((name) => name === model);
  if (found !== undefined) return found;
  const known = names.join(', ');
  throw new ConfigError('unsupportedCommand', `${protocol} has no model ${model}; it has ${known}`);
}
