/** The drivers by protocol: a further device is one entry here. */
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { F56Dispenser } from '#hal/f56/driver.ts';
import { f56Models } from '#hal/f56/models.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { lcdmModels } from '#hal/lcdm/models.ts';
import type { Port } from '#hal/port.ts';
import { SioAcceptor } from '#hal/sio/driver.ts';
import { sioModels } from '#hal/sio/models.ts';
import type { Clock } from '#protocol/base/clock.ts';
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
  readonly log: Log;
}

/**
 * Makes the validator's driver. @throws ConfigError `unsupportedCommand` for an unknown
 * protocol.
 */
export function makeAcceptor(options: DeviceOptions & { currency: string }): CashAcceptor {
  const { protocol, port, clock, log, currency } = options;
  switch (protocol) {
    case 'id003':
      return new Id003Acceptor({ port, clock, log, options: { currency } });
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
    default:
      throw new ConfigError('unsupportedCommand', `no validator speaks ${protocol}; id003, sio do`);
  }
}

/**
 * Makes the dispenser's driver. @throws ConfigError `unsupportedCommand` for an unknown
 * protocol.
 */
export function makeDispenser(options: DeviceOptions): CashDispenser {
  const { protocol, port, clock, log } = options;
  switch (protocol) {
    case 'f56':
      return new F56Dispenser({
        port,
        clock,
        log,
        options: { model: modelOf(options, f56Models) },
      });
    case 'lcdm':
      return new LcdmDispenser({
        port,
        clock,
        log,
        options: { model: modelOf(options, lcdmModels) },
      });
    default:
      throw new ConfigError('unsupportedCommand', `no dispenser speaks ${protocol}; f56, lcdm do`);
  }
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
