/** A serial port as drivers see it: bytes out, bytes in, lost or closed. */
import type { RecordedChunk } from '#protocol/base/errors.ts';

/** How bytes travel on the wire; the driver's, not the configuration's, unless a model differs. */
export interface LineSettings {
  readonly baudRate: number;
  readonly dataBits: 7 | 8;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
}

/** News from a port. After `lost` nothing more comes until it is opened again. */
export type PortEvent =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'lost'; readonly reason: string };

/** Takes a listener off again; calling it twice is harmless. */
export type Unsubscribe = () => void;

/** One serial port. It may be opened again after it was lost or closed. */
export interface Port {
  /** What the configuration calls it, for messages. */
  readonly path: string;
  /**
   * Opens the port exclusively.
   * @throws DeviceError `notFound` when there is no such port, `locked` when another process has
   * it.
   */
  open(line: LineSettings): Promise<void>;
  /** Queues bytes. On a port that is not open they are dropped: the driver hears `lost` instead. */
  write(bytes: Uint8Array): void;
  /** Tells the listener of everything that comes in from now on. */
  subscribe(listener: (event: PortEvent) => void): Unsubscribe;
  /** Closes the port; it reports no `lost`. Safe when it is not open. */
  close(): Promise<void>;
  /** The last 256 chunks, oldest first. */
  recording(): readonly RecordedChunk[];
}
