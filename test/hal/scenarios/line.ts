/**
 * A simulated device and the port that a driver has of it, in memory or over a real pty. Time is
 * virtual in both: where bytes are under way on a pty, it stands until they have come, so that
 * nothing depends on how fast the computer is.
 */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LineSettings, Port, PortEvent, Unsubscribe } from '#hal/port.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { Cable, type CableDirection } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { openPty, type Pty } from '#hal/simulator/pty.ts';
import { sleep, systemClock } from '#protocol/base/clock.ts';
import { DeviceError, type RecordedChunk } from '#protocol/base/errors.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** What lies between driver and device. */
export type LineKind = 'memory' | 'pty';

/** One device on one line. */
export interface Line {
  readonly clock: VirtualClock;
  readonly device: SimulatedDevice;
  readonly port: Port;
  /** Pulls the plug. */
  unplug(): Promise<void>;
  /** Plugs it in again; a pty then has another name behind the same link. */
  plug(): Promise<void>;
  /** Bytes that the device has heard, or said, so far. */
  passed(direction: CableDirection): number;
  /** The power goes with the byte of that number, from 0; those behind it are lost. */
  cutAt(direction: CableDirection, byte: number): void;
  close(): Promise<void>;
}

/** Makes a device and its line. */
export async function makeLine(
  kind: LineKind,
  make: (clock: VirtualClock) => SimulatedDevice,
): Promise<Line> {
  if (kind === 'memory') return new MemoryLine(make);
  const line = new PtyLine(make);
  await line.plug();
  return line;
}

/** The device as its power cable and a counter of bytes have it. */
class Gate {
  readonly device: SimulatedDevice;
  readonly passed = { toDevice: 0, toHost: 0 };
  #cut: { readonly direction: CableDirection; readonly byte: number } | undefined;

  constructor(device: SimulatedDevice) {
    this.device = device;
  }

  cutAt(direction: CableDirection, byte: number): void {
    this.#cut = { direction, byte };
  }

  /** The device with this gate before it. */
  gated(): SimulatedDevice {
    const { device } = this;
    return {
      kind: device.kind,
      protocol: device.protocol,
      line: device.line,
      faults: device.faults,
      receive: (bytes) => this.#pass('toDevice', bytes, (some) => device.receive(some)),
      connect: (send) => device.connect((bytes) => this.#pass('toHost', bytes, send)),
      control: (command) => device.control(command),
      truth: () => device.truth(),
      violations: () => device.violations(),
      stop: () => device.stop(),
    };
  }

  #pass(direction: CableDirection, bytes: Uint8Array, to: (bytes: Uint8Array) => void): void {
    const from = this.passed[direction];
    this.passed[direction] += bytes.length;
    const cut = this.#cut?.direction === direction ? this.#cut.byte - from : bytes.length;
    if (cut >= bytes.length) {
      to(bytes);
      return;
    }
    if (cut > 0) to(bytes.subarray(0, cut));
    this.#cut = undefined;
    this.device.control({ do: 'power', on: false });
  }
}

class MemoryLine implements Line {
  readonly clock = new VirtualClock();
  readonly device: SimulatedDevice;
  readonly port: Port;
  readonly #gate: Gate;
  readonly #cable: Cable;

  constructor(make: (clock: VirtualClock) => SimulatedDevice) {
    const { clock } = this;
    this.#gate = new Gate(make(clock));
    this.device = this.#gate.gated();
    this.#cable = new Cable({ clock, device: this.device });
    this.port = new MemoryPort({ path: 'memory', clock, cable: this.#cable });
  }

  async unplug(): Promise<void> {
    this.#cable.unplug();
  }

  async plug(): Promise<void> {
    this.#cable.plug();
  }

  passed(direction: CableDirection): number {
    return this.#gate.passed[direction];
  }

  cutAt(direction: CableDirection, byte: number): void {
    this.#gate.cutAt(direction, byte);
  }

  async close(): Promise<void> {
    this.device.stop();
  }
}

/** Turns of the event loop before real time is let pass. */
const TURNS = 20;
/** Milliseconds of real time that bytes, or the news of a loss, may be under way; then it is lost. */
const UNDER_WAY_MS_MAX = 10_000;
/** Virtual time in which a port must have looked whether it is still there, in steps. */
const LOOK_MS = 1200;
const STEP_MS = 100;

/** A system port that knows what is under way on it. */
class CountedPort implements Port {
  readonly path: string;
  /** Bytes that have left one end and not come to the other. */
  readonly underWay = { toDevice: 0, toHost: 0 };
  isOpen: boolean = false;
  /** Whoever opened it has neither closed it nor heard that it is gone. */
  isHeld: boolean = false;
  /** Calls of the operating system that have not returned. */
  #calls = 0;
  readonly #port: SystemPort;

  constructor(port: SystemPort) {
    this.#port = port;
    this.path = port.path;
    port.subscribe((event) => {
      if (event.kind === 'lost') {
        this.isHeld = false;
        this.lose();
      } else this.underWay.toHost = Math.max(0, this.underWay.toHost - event.bytes.length);
    });
  }

  get isBusy(): boolean {
    return this.#calls + this.underWay.toDevice + this.underWay.toHost > 0;
  }

  lose(): void {
    this.isOpen = false;
    this.underWay.toDevice = 0;
    this.underWay.toHost = 0;
  }

  async open(line: LineSettings): Promise<void> {
    let isLost = false;
    const forget = this.#port.subscribe(({ kind }) => {
      if (kind === 'lost') isLost = true;
    });
    await this.#call(this.#port.open(line)).finally(forget);
    this.isOpen = this.isHeld = !isLost;
  }

  write(bytes: Uint8Array): void {
    if (this.isOpen) this.underWay.toDevice += bytes.length;
    this.#port.write(bytes);
  }

  subscribe(listener: (event: PortEvent) => void): Unsubscribe {
    return this.#port.subscribe(listener);
  }

  async close(): Promise<void> {
    this.isHeld = false;
    this.lose();
    await this.#call(this.#port.close());
  }

  recording(): readonly RecordedChunk[] {
    return this.#port.recording();
  }

  async #call(called: Promise<void>): Promise<void> {
    this.#calls++;
    try {
      await called;
    } finally {
      this.#calls--;
    }
  }
}

class PtyLine implements Line {
  readonly clock = new VirtualClock(undefined, () => this.#rest());
  readonly device: SimulatedDevice;
  readonly port: CountedPort;
  readonly #gate: Gate;
  readonly #folder = mkdtempSync(join(tmpdir(), 'spire-line-'));
  #pty: Pty | undefined;

  constructor(make: (clock: VirtualClock) => SimulatedDevice) {
    this.#gate = new Gate(make(this.clock));
    this.device = this.#gate.gated();
    this.port = new CountedPort(new SystemPort({ path: this.#link, clock: this.clock }));
    this.device.connect((bytes) => {
      if (!this.#pty) return;
      if (this.port.isOpen) this.port.underWay.toHost += bytes.length;
      this.#pty.write(bytes);
    });
  }

  get #link(): string {
    return join(this.#folder, 'usb-validator');
  }

  async unplug(): Promise<void> {
    rmSync(this.#link, { force: true });
    this.#pty?.close();
    this.#pty = undefined;
    this.port.lose();
    // The port hears of it in real time, or else when it next looks, by its own clock.
    await sleep(systemClock, 5);
    for (let turns = 0; this.port.isHeld; turns++) {
      if (turns < LOOK_MS / STEP_MS) await this.clock.advance(STEP_MS);
      await sleep(systemClock, 1);
      if (turns <= UNDER_WAY_MS_MAX) continue;
      throw new DeviceError('hardwareError', 'the port misses that it is gone');
    }
  }

  async plug(): Promise<void> {
    if (this.#pty) return;
    const pty = await openPty();
    this.#pty = pty;
    pty.onData((bytes) => {
      if (this.#pty !== pty) return;
      const { underWay } = this.port;
      underWay.toDevice = Math.max(0, underWay.toDevice - bytes.length);
      this.device.receive(bytes);
    });
    symlinkSync(pty.path, this.#link);
  }

  passed(direction: CableDirection): number {
    return this.#gate.passed[direction];
  }

  cutAt(direction: CableDirection, byte: number): void {
    this.#gate.cutAt(direction, byte);
  }

  async close(): Promise<void> {
    this.device.stop();
    await this.unplug();
    rmSync(this.#folder, { recursive: true });
  }

  /** Until nothing is under way: virtual time stands meanwhile. */
  async #rest(): Promise<void> {
    await turn();
    for (let turns = 0; this.port.isBusy; turns++) {
      if (turns < TURNS) await turn();
      else await sleep(systemClock, 1);
      if (turns <= TURNS + UNDER_WAY_MS_MAX) continue;
      throw new DeviceError('hardwareError', 'bytes are lost on the pty');
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
