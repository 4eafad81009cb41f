/** A serial port of this computer, by the `serialport` package. */
import { stat } from 'node:fs/promises';
import { SerialPort } from 'serialport';
import { type Clock, withDeadline } from '#protocol/base/clock.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';
import { type AtmErrorCode, DeviceError, messageOf } from '#protocol/base/errors.ts';
import type { LineSettings, Port, PortEvent, Unsubscribe } from './port.ts';
import { FlightRecorder } from './recorder.ts';

/** Bytes that may wait to leave; more means that the adapter has stopped taking them. */
const WRITE_QUEUE_BYTES_MAX = 4096;
/** Longest wait for the operating system to close a port: a dead adapter may never drain. */
const CLOSE_LIMIT_MS = 2000;

/**
 * How often the port's file is looked at. The package reports a loss only when it is not reading in
 * that instant; else it reads nothing for ever, at full speed (bindings-cpp 13, `unixRead`).
 */
const LOOK_MS = 1000;

/** What a serial port needs. */
export interface SystemPortOptions {
  /** Best one of `/dev/serial/by-id/`: numbers change when adapters are plugged in. */
  readonly path: string;
  readonly clock: Clock;
}

/** A `Port` on a real line or a pty. Another process cannot open it meanwhile (advisory lock). */
export class SystemPort implements Port {
  readonly path: string;
  readonly #clock: Clock;
  readonly #recorder: FlightRecorder;
  readonly #listeners = new Set<(event: PortEvent) => void>();
  #stream: SerialPort | undefined;

  constructor(options: SystemPortOptions) {
    this.path = options.path;
    this.#clock = options.clock;
    this.#recorder = new FlightRecorder(options.clock);
  }

  async open(line: LineSettings): Promise<void> {
    const recording = this.recording();
    if (this.#stream) {
      throw new DeviceError('locked', `${this.path} is already open here`, { recording });
    }
    const stream = new SerialPort({ path: this.path, ...line, lock: true, autoOpen: false });
    this.#stream = stream;
    try {
      await new Promise<void>((resolve, reject) => {
        stream.open((error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      this.#stream = undefined;
      throw openError(this.path, error, recording);
    }
    // The stream must flow at all times: a paused one never notices that its port is gone.
    stream.on('data', (bytes: Buffer) => this.#onData(stream, new Uint8Array(bytes)));
    stream.on('close', () => this.#onLost(stream, 'the port is gone'));
    stream.on('end', () => this.#onLost(stream, 'the port has ended'));
    stream.on('error', (error) => this.#onLost(stream, messageOf(error)));
    this.#watch(stream, await fileOf(this.path));
  }

  write(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (!stream?.isOpen) return;
    if (stream.writableLength > WRITE_QUEUE_BYTES_MAX) {
      this.#onLost(stream, 'the port takes no more bytes');
      return;
    }
    this.#recorder.record('out', bytes);
    stream.write(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream) await this.#closeStream(stream);
  }

  recording(): readonly RecordedChunk[] {
    return this.#recorder.chunks();
  }

  #onData(stream: SerialPort, bytes: Uint8Array): void {
    if (this.#stream !== stream) return;
    this.#recorder.record('in', bytes);
    this.#tell({ kind: 'data', bytes });
  }

  #watch(stream: SerialPort, file: string | undefined): void {
    this.#clock.after(LOOK_MS, () => void this.#look(stream, file));
  }

  async #look(stream: SerialPort, file: string | undefined): Promise<void> {
    const now = this.#stream === stream ? await fileOf(this.path) : file;
    if (this.#stream !== stream) return;
    if (now === undefined || now !== file) this.#onLost(stream, 'the port has vanished');
    else this.#watch(stream, file);
  }

  #onLost(stream: SerialPort, reason: string): void {
    // Our own close() has taken the stream out already, so that it reports nothing.
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    void this.#closeStream(stream);
    this.#tell({ kind: 'lost', reason });
  }

  async #closeStream(stream: SerialPort): Promise<void> {
    if (!stream.isOpen) return;
    // The callback's error is one of a port that is gone anyway; the next open tells the truth.
    const closed = new Promise<void>((resolve) => stream.close(() => resolve()));
    await withDeadline(this.#clock, CLOSE_LIMIT_MS, closed);
  }

  #tell(event: PortEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

/** What a path leads to; another answer is another device. Undefined when it leads nowhere. */
async function fileOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, rdev } = await stat(path);
    return `${dev} ${ino} ${rdev}`;
  } catch {
    return undefined;
  }
}

/** The package gives words only; these are its own and the operating system's. */
function openError(path: string, cause: unknown, recording: readonly RecordedChunk[]): DeviceError {
  const text = messageOf(cause);
  const code: AtmErrorCode = /no such (file|device)/i.test(text)
    ? 'notFound'
    : /cannot lock port|busy/i.test(text)
      ? 'locked'
      : /permission denied/i.test(text)
        ? 'refused'
        : 'hardwareError';
  return new DeviceError(code, `cannot open ${path}: ${text}`, { cause, recording });
}
