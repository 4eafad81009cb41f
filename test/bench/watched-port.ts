/** A port that notes when bytes pass it, between a driver and whatever is behind it. */
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import { nowMs } from './stopwatch.ts';

/** One chunk on its way. */
export interface Passed {
  readonly atMs: number;
  readonly bytes: number;
}

/** Bits of one byte on the line, with start bit. */
const bitsOf = (line: LineSettings): number =>
  1 + line.dataBits + (line.parity === 'none' ? 0 : 1) + line.stopBits;

/** Counts and times what passes. */
export class WatchedPort implements Port {
  readonly path: string;
  lastIn: Passed = { atMs: 0, bytes: 0 };
  /** Told of the next chunk that goes out, once. */
  onNextOut: ((passed: Passed) => void) | undefined;
  chunksOut = 0;
  bytes = 0;
  readonly #port: Port;
  #line: LineSettings | undefined;

  constructor(port: Port) {
    this.#port = port;
    this.path = port.path;
  }

  /** How long so many bytes take on this line, ms; undefined before it was opened. */
  lineMs(bytes: number): number | undefined {
    return this.#line && (bytes * bitsOf(this.#line) * 1_000) / this.#line.baudRate;
  }

  open(line: LineSettings): Promise<void> {
    this.#line = line;
    return this.#port.open(line);
  }

  write(bytes: Uint8Array): void {
    const passed = { atMs: nowMs(), bytes: bytes.length };
    this.chunksOut += 1;
    this.bytes += bytes.length;
    const tell = this.onNextOut;
    this.onNextOut = undefined;
    tell?.(passed);
    this.#port.write(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    return this.#port.subscribe((event) => {
      if (event.kind === 'data') {
        this.lastIn = { atMs: nowMs(), bytes: event.bytes.length };
        this.bytes += event.bytes.length;
      }
      listener(event);
    });
  }

  close(): Promise<void> {
    return this.#port.close();
  }

  recording(): ReturnType<Port['recording']> {
    return this.#port.recording();
  }
}
