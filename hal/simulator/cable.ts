/**
 * The cable between a host and a simulated device, on a clock: it delivers at the line's speed when
 * asked, splits chunks, and does to the n-th byte or chunk what real cables do. Order is always
 * kept, as on a real line: whatever is delayed delays all that follows it.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { LineSettings } from '../port.ts';
import type { SimulatedDevice } from './device.ts';

/** Which way bytes travel. */
export type CableDirection = 'toDevice' | 'toHost';

/** What happens to a byte or a chunk. A chunk is one `write`. */
export type CableDamage =
  | { readonly do: 'drop' }
  /** Inverts the bits of the mask (all eight when left out), in every byte of a chunk. */
  | { readonly do: 'flip'; readonly mask?: number }
  | { readonly do: 'double' }
  | { readonly do: 'delay'; readonly ms: number }
  /** Puts bytes before it. */
  | { readonly do: 'insert'; readonly bytes: readonly number[] }
  /** All that is on the cable from here on is lost, both ways, and the task runs: a power cut. */
  | { readonly do: 'cut'; readonly task: () => void };

/** One damage to the `nth` byte or chunk in one direction, from 0 since the cable was made. */
export type CableFault = {
  readonly direction: CableDirection;
  readonly unit: 'byte' | 'chunk';
  readonly nth: number;
} & CableDamage;

/** The host's end. */
export interface CableHost {
  data(bytes: Uint8Array): void;
  lost(reason: string): void;
}

/** What a cable is made of. */
export interface CableOptions {
  readonly clock: Clock;
  readonly device: SimulatedDevice;
  /** Bytes take as long as on the device's line; else they arrive in the next turn of the clock. */
  readonly paced?: boolean;
  /** Sizes of the pieces in which a chunk of that length arrives; the rest follows in one. */
  readonly split?: (length: number, direction: CableDirection) => readonly number[];
  readonly faults?: readonly CableFault[];
}

interface Piece {
  readonly bytes: number[];
  delayMs: number;
  /** Runs instead of a delivery and loses what follows. */
  readonly cut?: () => void;
}

/** Time of one byte on a line: start bit, data, parity, stop. */
export function byteTimeMs(line: LineSettings): number {
  const bits = 1 + line.dataBits + (line.parity === 'none' ? 0 : 1) + line.stopBits;
  return (bits * 1000) / line.baudRate;
}

/** One cable with a device on its far end; a `MemoryPort` or a pty is put on the near one. */
export class Cable {
  readonly device: SimulatedDevice;
  readonly #clock: Clock;
  readonly #byteTimeMs: number;
  readonly #split: NonNullable<CableOptions['split']>;
  #faults: CableFault[];
  #host: CableHost | undefined;
  #state: 'plugged' | 'unplugged' | 'locked' = 'plugged';
  /** Raised when all that is under way is lost. */
  #generation = 0;
  readonly #freeAtMs = { toDevice: 0, toHost: 0 };
  readonly #passed = {
    toDevice: { bytes: 0, chunks: 0 },
    toHost: { bytes: 0, chunks: 0 },
  };

  constructor(options: CableOptions) {
    this.device = options.device;
    this.#clock = options.clock;
    this.#byteTimeMs = options.paced ? byteTimeMs(options.device.line) : 0;
    this.#split = options.split ?? (() => []);
    this.#faults = [...(options.faults ?? [])];
    this.device.connect((bytes) => this.#carry('toHost', bytes));
  }

  /** `unplugged`: there is no such port. `locked`: another process has it. */
  get state(): 'plugged' | 'unplugged' | 'locked' {
    return this.#state;
  }

  /** Puts a host on the near end, or takes it off; what is under way to the old one is lost. */
  attach(host: CableHost | undefined): void {
    this.#host = host;
    this.#loseAll();
  }

  /** Bytes from the host. */
  send(bytes: Uint8Array): void {
    this.#carry('toDevice', bytes);
  }

  /** Bytes and chunks that entered the cable so far; numbers the next fault. */
  passed(direction: CableDirection): { readonly bytes: number; readonly chunks: number } {
    return { ...this.#passed[direction] };
  }

  /** Plans one more damage. */
  addFault(fault: CableFault): void {
    this.#faults.push(fault);
  }

  /** Forgets what was planned and has not struck yet. */
  clearFaults(): void {
    this.#faults = [];
  }

  /** Pulls the plug: the host hears `lost`, opening finds no port. */
  unplug(reason = 'unplugged'): void {
    this.#state = 'unplugged';
    const host = this.#host;
    this.attach(undefined);
    host?.lost(reason);
  }

  /** Plugs it in again, or frees a locked port. */
  plug(): void {
    this.#state = 'plugged';
  }

  /** Lets another process hold the port. */
  lock(): void {
    this.#state = 'locked';
  }

  #carry(direction: CableDirection, bytes: Uint8Array): void {
    const pieces = this.#damaged(direction, bytes);
    for (const piece of pieces) {
      if (piece.cut) this.#schedule(direction, piece);
      else for (const part of this.#inParts(direction, piece)) this.#schedule(direction, part);
    }
  }

  #inParts(direction: CableDirection, piece: Piece): Piece[] {
    const parts: Piece[] = [];
    let at = 0;
    let delayMs = piece.delayMs;
    for (const size of [...this.#split(piece.bytes.length, direction), piece.bytes.length]) {
      const bytes = piece.bytes.slice(at, at + size);
      if (bytes.length > 0) parts.push({ bytes, delayMs });
      if (bytes.length > 0) delayMs = 0;
      at += size;
    }
    return parts;
  }

  #schedule(direction: CableDirection, piece: Piece): void {
    const nowMs = this.#clock.monotonic();
    const startMs = Math.max(nowMs, this.#freeAtMs[direction]) + piece.delayMs;
    this.#freeAtMs[direction] = startMs + piece.bytes.length * this.#byteTimeMs;
    const generation = this.#generation;
    this.#clock.after(this.#freeAtMs[direction] - nowMs, () => {
      if (generation !== this.#generation) return;
      if (piece.cut) {
        this.#loseAll();
        piece.cut();
      } else if (direction === 'toDevice') this.device.receive(Uint8Array.from(piece.bytes));
      else this.#host?.data(Uint8Array.from(piece.bytes));
    });
  }

  #loseAll(): void {
    this.#generation++;
    this.#freeAtMs.toDevice = 0;
    this.#freeAtMs.toHost = 0;
  }

  /** Applies the faults planned for this chunk and for its bytes. */
  #damaged(direction: CableDirection, bytes: Uint8Array): Piece[] {
    const passed = this.#passed[direction];
    if (this.#faults.length === 0) {
      passed.chunks += 1;
      passed.bytes += bytes.length;
      return [{ bytes: [...bytes], delayMs: 0 }];
    }
    const chunkFault = this.#takeFault(direction, 'chunk', passed.chunks++);
    const pieces: Piece[] = [{ bytes: [], delayMs: 0 }];
    for (const byte of bytes) {
      const fault = this.#takeFault(direction, 'byte', passed.bytes++);
      add(pieces, damage([byte], fault));
    }
    const whole = pieces.filter((piece) => piece.bytes.length > 0 || piece.cut);
    if (!chunkFault) return whole;
    if (chunkFault.do === 'delay' && whole[0]) whole[0].delayMs += chunkFault.ms;
    if (chunkFault.do === 'delay') return whole;
    return damage(
      whole.flatMap((piece) => piece.bytes),
      chunkFault,
    );
  }

  #takeFault(
    direction: CableDirection,
    unit: CableFault['unit'],
    nth: number,
  ): CableFault | undefined {
    const found = this.#faults.find(
      (fault) => fault.direction === direction && fault.unit === unit && fault.nth === nth,
    );
    if (found) this.#faults = this.#faults.filter((fault) => fault !== found);
    return found;
  }
}

function damage(bytes: number[], fault: CableDamage | undefined): Piece[] {
  if (!fault) return [{ bytes, delayMs: 0 }];
  switch (fault.do) {
    case 'drop':
      return [];
    case 'flip':
      return [{ bytes: bytes.map((byte) => byte ^ (fault.mask ?? 0xff)), delayMs: 0 }];
    case 'double':
      return [{ bytes: [...bytes, ...bytes], delayMs: 0 }];
    case 'delay':
      return [{ bytes, delayMs: fault.ms }];
    case 'insert':
      return [{ bytes: [...fault.bytes, ...bytes], delayMs: 0 }];
    case 'cut':
      return [{ bytes: [], delayMs: 0, cut: fault.task }];
  }
}

/** Appends to the last piece as long as nothing parts them. */
function add(pieces: Piece[], more: readonly Piece[]): void {
  for (const piece of more) {
    const last = pieces.at(-1);
    if (last && !last.cut && !piece.cut && piece.delayMs === 0) last.bytes.push(...piece.bytes);
    else pieces.push(piece);
  }
}
