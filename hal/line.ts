/** The line to one device, as every link has it: when it is open, and what comes over it. */
import { DeviceError } from '#protocol/base/errors.ts';
import type { LineSettings, Port, Unsubscribe } from './port.ts';

/** What it needs. */
export interface LineOptions {
  readonly port: Port;
  readonly settings: LineSettings;
  readonly onData: (bytes: Uint8Array) => void;
  /** It is about to be open: nothing that was heard before belongs to it. */
  readonly onOpen?: () => void;
  /** It is open no more, for whatever reason: everything that waits is to be answered now. */
  readonly onDown: (reason: string) => void;
  /** The port is gone by itself; told after `onDown`. */
  readonly onLost: (reason: string) => void;
}

/** One line. It may be opened again until it is closed. */
export class Line {
  readonly #options: LineOptions;
  readonly #unsubscribe: Unsubscribe;
  #isOpen: boolean = false;
  #isClosed: boolean = false;
  #lostReason: string | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#unsubscribe = options.port.subscribe((event) => {
      if (event.kind === 'data') options.onData(event.bytes);
      else this.#onLost(event.reason);
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Opens the port, also again after a loss.
   * @throws DeviceError `notFound`, `locked`, `canceled`
   */
  async open(): Promise<void> {
    const { port, settings, onOpen } = this.#options;
    this.#lostReason = undefined;
    await port.open(settings);
    if (this.#isClosed) {
      // Whoever closed it could not close what was not open yet.
      await port.close();
      throw closedWhile(port, 'the port was opened');
    }
    if (this.#lostReason !== undefined) {
      const words = `${port.path} was gone when it was open: ${this.#lostReason}`;
      throw new DeviceError('notFound', words, { recording: port.recording() });
    }
    onOpen?.();
    this.#isOpen = true;
  }

  /** Queues bytes; dropped while it is not open. */
  write(bytes: Uint8Array): void {
    this.#options.port.write(bytes);
  }

  /** Lets go of the port, to open it again. */
  async drop(): Promise<void> {
    this.#isOpen = false;
    this.#options.onDown('closed');
    await this.#options.port.close();
  }

  /** Lets go of the port for good. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#isClosed = true;
    await this.drop();
  }

  #onLost(reason: string): void {
    this.#lostReason = reason;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#options.onDown(reason);
    this.#options.onLost(reason);
  }
}

/** Whoever waited is told that the driver was closed, with the last bytes on its port. */
export function closedWhile(port: Port, what: string): DeviceError {
  return new DeviceError('canceled', `closed while ${what}`, { recording: port.recording() });
}
