import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import type { RecordedChunk } from '#protocol/base/errors.ts';

/** Passes everything on to a port that can be replaced, and remembers what was written. */
export class TapPort implements Port {
  readonly sent: string[] = [];
  opened = 0;
  readonly #listeners = new Set<(event: PortEvent) => void>();
  #target: Port;

  constructor(target: Port) {
    this.#target = target;
    this.use(target);
  }

  get path(): string {
    return this.#target.path;
  }

  use(target: Port): void {
    this.#target = target;
    target.subscribe((event) => {
      for (const listener of [...this.#listeners]) listener(event);
    });
  }

  open(line: LineSettings): Promise<void> {
    this.opened++;
    return this.#target.open(line);
  }

  write(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes).toString('hex'));
    this.#target.write(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  recording(): readonly RecordedChunk[] {
    return this.#target.recording();
  }
}
