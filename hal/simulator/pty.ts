/** A pseudo terminal whose far end is a simulated device: a real serial port without hardware. */
import { constants, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';

/** Bytes that may wait for a host that does not read; a real line would have lost them too. */
const WRITE_QUEUE_BYTES_MAX = 65_536;

/** One pseudo terminal, seen from the device's side. */
export interface Pty {
  /** What the host opens, as `/dev/pts/7`. */
  readonly path: string;
  /** Bytes to the host; dropped when the host has not read for long, or the pty is closed. */
  write(bytes: Uint8Array): void;
  /** Where bytes from the host go; the last listener wins. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Ends it; a host that has it open sees its port vanish. */
  close(): void;
}

/** What `open` of the pty package gives; its type declarations leave it out. */
interface OpenedPty {
  readonly ptsName: string;
  readonly master: ReadStream;
  readonly slave: ReadStream;
}

function isOpenedPty(value: unknown): value is OpenedPty {
  return (
    typeof value === 'object' &&
    value !== null &&
    'ptsName' in value &&
    typeof value.ptsName === 'string' &&
    'master' in value &&
    'slave' in value
  );
}

/** Opens a raw pseudo terminal. The package behind it is loaded here only, for development. */
export async function openPty(): Promise<Pty> {
  const nodePty: unknown = await import('@lydell/node-pty');
  if (typeof nodePty !== 'object' || nodePty === null || !('open' in nodePty)) {
    throw new Error('@lydell/node-pty has no open()');
  }
  const opened: unknown =
    typeof nodePty.open === 'function' ? nodePty.open({ encoding: null }) : undefined;
  if (!isOpenedPty(opened)) throw new Error('@lydell/node-pty opened nothing that is known here');
  const { master, slave, ptsName: path } = opened;
  // The package's own near end reads, and so steals the host's bytes.
  slave.destroy();
  // One near end stays open that never reads: a host may close the port and open it again, and the
  // far end would hear only errors meanwhile. It also makes the terminal raw before anyone opens
  // it, or the kernel would echo the device's own words back; closing a stream undoes its raw mode.
  const keeper = new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY));
  keeper.setRawMode(true);
  let listener: (bytes: Uint8Array) => void = () => undefined;
  let open = true;
  master.on('data', (bytes: Buffer) => listener(new Uint8Array(bytes)));
  return {
    path,
    write: (bytes) => {
      if (open && master.writableLength < WRITE_QUEUE_BYTES_MAX) master.write(bytes);
    },
    onData: (next) => {
      listener = next;
    },
    close: () => {
      if (!open) return;
      open = false;
      master.destroy();
      keeper.destroy();
    },
  };
}
