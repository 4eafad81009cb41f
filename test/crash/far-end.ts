/**
 * The independent recorder, at the far ends: what arrives in the simulated devices and what leaves
 * them, and what the relay takes. The disk is looked at from outside the process: see disk.ts.
 */
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import type { WholeMachine } from '#test/support/whole-machine.ts';
import { replaceMethod, whereNotesLie } from './host-end.ts';
import { type Chunk, countedChunks, type Direction, type PortName, portNames } from './moments.ts';

/** What is counted here. */
export interface FarCounts {
  readonly bytes: number;
  readonly events: number;
  /** Bytes with all idle polls. */
  readonly allBytes: number;
}

/** Records from `record` to `recorded`. */
export class FarEnd {
  #machine: WholeMachine | undefined;
  #isRecording: boolean = false;
  #chunks: Record<PortName, Chunk[]> = { validator: [], dispenser: [] };
  #events = 0;

  /** Watches a device from its inside; made before the machine is. */
  watchDevice(port: PortName, device: SimulatedDevice): SimulatedDevice {
    const receive = device.receive.bind(device);
    const connect = device.connect.bind(device);
    replaceMethod(device, 'receive', (bytes) => {
      this.#note(port, 'toDevice', bytes);
      receive(bytes);
    });
    replaceMethod(device, 'connect', (send) => {
      connect((bytes) => {
        this.#note(port, 'toHost', bytes);
        send(bytes);
      });
    });
    return device;
  }

  /** Watches the relay of a machine. */
  watch(machine: WholeMachine): void {
    this.#machine = machine;
    const { network } = machine;
    const take = network.take.bind(network);
    replaceMethod(network, 'take', (event) => {
      if (this.#isRecording && isOfTheProgram(event, machine)) this.#events += 1;
      return take(event);
    });
  }

  record(): void {
    this.#isRecording = true;
    this.#chunks = { validator: [], dispenser: [] };
    this.#events = 0;
  }

  recorded(): FarCounts {
    this.#isRecording = false;
    const sum = (pick: (chunks: readonly Chunk[]) => readonly Chunk[]) =>
      portNames.flatMap((port) => pick(this.#chunks[port])).reduce((n, one) => n + bytesOf(one), 0);
    return { bytes: sum(countedChunks), allBytes: sum((all) => all), events: this.#events };
  }

  #note(port: PortName, direction: Direction, bytes: Uint8Array): void {
    if (!this.#isRecording || !this.#machine) return;
    const hex = Buffer.from(bytes).toString('hex');
    this.#chunks[port].push({ direction, nth: 0, hex, truth: whereNotesLie(this.#machine) });
  }
}

const bytesOf = ({ hex }: Chunk): number => hex.length / 2;

/** All but what wallet, operator and bunker say themselves. */
function isOfTheProgram({ pubkey, kind }: SignedEvent, { keeper, bunker }: WholeMachine): boolean {
  if (pubkey === keeper.transportPubkey || pubkey === keeper.operatorPubkey) return false;
  return pubkey !== bunker.pubkey || kind !== kinds.remoteSigning;
}
