/** The drivers by protocol: a further device is one entry here. */
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import { LcdmDispenser } from '#hal/lcdm/driver.ts';
import { type LcdmModelName, lcdmModels } from '#hal/lcdm/models.ts';
import type { Port } from '#hal/port.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';

/** What a driver is opened with. */
export interface DeviceOptions {
  readonly protocol: string;
  /** The protocol's first model when left out. */
  readonly model: string | undefined;
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
    default:
      throw new ConfigError('unsupportedCommand', `no validator speaks ${protocol}; id003 does`);
  }
}

/**
 * Makes the dispenser's driver. @throws ConfigError `unsupportedCommand` for an unknown
 * protocol.
 */
export function makeDispenser(options: DeviceOptions): CashDispenser {
  const { protocol, model = 'lcdm-4000', port, clock, log } = options;
  if (protocol !== 'lcdm') {
    throw new ConfigError('unsupportedCommand', `no dispenser speaks ${protocol}; lcdm does`);
  }
  if (!isLcdmModel(model)) {
    const known = Object.keys(lcdmModels).join(', ');
    throw new ConfigError('unsupportedCommand', `lcdm has no model ${model}; it has ${known}`);
  }
  return new LcdmDispenser({ port, clock, log, options: { model } });
}

function isLcdmModel(name: string): name is LcdmModelName {
  return Object.hasOwn(lcdmModels, name);
}
