/** What hands and scripts do to a simulated device, brought to the part of it that is meant. */
import { type ControlCommand, type DeviceTruth, type Notes, SimulatorError } from './device.ts';

interface Switched {
  fault(name: string, times: number, value: number | undefined): void;
  power(on: boolean): void;
}

/** What a validator is to hands. */
export interface ValidatorInHands extends Switched {
  readonly mechanism: {
    insert(denomination: number): void;
    /** Gives the notes that were in the box which was taken out. */
    cashbox(present: boolean, empty: boolean): Notes;
    take(): void;
    truth(): DeviceTruth;
  };
}

/** What a dispenser is to hands. */
export interface DispenserInHands extends Switched {
  readonly mechanism: {
    cassette(
      position: number,
      change: {
        readonly denomination?: number;
        readonly count?: number;
        readonly present?: boolean;
      },
    ): void;
    take(): void;
    truth(): DeviceTruth;
  };
}

/** Does it, and gives the truth afterwards. @throws SimulatorError */
export function handleValidator(device: ValidatorInHands, command: ControlCommand): unknown {
  const { mechanism } = device;
  switch (command.do) {
    case 'insert':
      mechanism.insert(command.denomination);
      break;
    case 'cashbox': {
      const removed = mechanism.cashbox(command.present, command.empty === true);
      return { ...mechanism.truth(), removed };
    }
    case 'cassette':
      throw new SimulatorError('usage', 'a validator has no cassettes');
    case 'fault':
    case 'power':
    case 'take':
    case 'state':
      handleAny(device, command);
  }
  return mechanism.truth();
}

/** Does it, and gives the truth afterwards. @throws SimulatorError */
export function handleDispenser(device: DispenserInHands, command: ControlCommand): unknown {
  const { mechanism } = device;
  switch (command.do) {
    case 'insert':
    case 'cashbox':
      throw new SimulatorError('usage', 'a dispenser takes no notes in');
    case 'cassette':
      mechanism.cassette(command.position, command);
      break;
    case 'fault':
    case 'power':
    case 'take':
    case 'state':
      handleAny(device, command);
  }
  return mechanism.truth();
}

function handleAny(
  device: Switched & { readonly mechanism: { take(): void } },
  command: ControlCommand,
): void {
  if (command.do === 'fault') device.fault(command.name, command.times ?? 1, command.value);
  if (command.do === 'power') device.power(command.on);
  if (command.do === 'take') device.mechanism.take();
}
