/** A port in memory with a cable to a simulated device: for tests, the demo and the simulation. */
import type { Clock } from '#protocol/base/clock.ts';
import { DeviceError, type RecordedChunk } from '#protocol/base/errors.ts';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '../port.ts';
import { FlightRecorder } from '../recorder.ts';
import type { Cable } from './cable.ts';

/** What a memory port needs. */
export interface MemoryPortOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly cable: Cable;
}

/** A `Port` without an operating system. Opened with a wrong line it hears and says nothing. */
export class MemoryPort implements Port {
  readonly path: string;
  readonly #cable: Cable;
  readonly #recorder: FlightRecorder;
  readonly #listeners = new Set<(event: PortEvent) => void>();
  #open: boolean = false;
  #lineFits: boolean = false;

  constructor(options: MemoryPortOptions) {
    this.path = options.path;
    this.#cable = options.cable;
    this.#recorder = new FlightRecorder(options.clock);
  }

  async open(line: LineSettings): Promise<void> {
    const recording = this.recording();
    if (this.#cable.state === 'unplugged') {
      throw new DeviceError('notFound', `there is no port ${this.path}`, { recording });
    }
    if (this.#cable.state === 'locked' || this.#open) {
      throw new DeviceError('locked', `another process has the port ${this.path}`, { recording });
    }
    this.#open = true;
    this.#lineFits = sameLine(line, this.#cable.device.line);
    this.#cable.attach({
      data: (bytes) => this.#onData(bytes),
      lost: (reason) => {
        this.#open = false;
        this.#tell({ kind: 'lost', reason });
      },
    });
  }

  write(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#recorder.record('out', bytes);
    if (this.#lineFits) this.#cable.send(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#cable.attach(undefined);
  }

  recording(): readonly RecordedChunk[] {
    return this.#recorder.chunks();
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#lineFits) return;
    this.#recorder.record('in', bytes);
    this.#tell({ kind: 'data', bytes });
  }

  #tell(event: PortEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function sameLine(one: LineSettings, other: LineSettings): boolean {
  return (
    one.baudRate === other.baudRate &&
    one.dataBits === other.dataBits &&
    one.parity === other.parity &&
    one.stopBits === other.stopBits
  );
}
