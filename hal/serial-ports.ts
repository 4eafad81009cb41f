/**
 * The serial ports of this computer, read from the kernel's own files: udev's tools may be missing,
 * and its links are shown where they are there. Source: Linux, Documentation/ABI/testing/sysfs-tty.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What a USB adapter says of itself. */
export interface UsbAdapter {
  /** Four hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  readonly manufacturer: string | undefined;
  readonly product: string | undefined;
  readonly serialNumber: string | undefined;
}

/** One port. */
export interface SerialPortEntry {
  /** `/dev/ttyUSB0`: another one after the next replug. */
  readonly path: string;
  /** Names that stay: by what it is, and by where it is plugged in. */
  readonly links: readonly string[];
  readonly usb: UsbAdapter | undefined;
}

/** Where names that stay are found: udev's own, and those of our rules. */
const LINK_FOLDERS = [
  'dev/serial/by-id',
  'dev/serial/by-path',
  'dev/spire/by-id',
  'dev/spire/by-path',
];
/** Levels from a tty up to its USB device: interface, and sometimes a port of the driver. */
const LEVELS_MAX = 6;

/** All ports with hardware behind them, by name. `root` is another one in tests. */
export function listSerialPorts(root = '/'): readonly SerialPortEntry[] {
  const links = LINK_FOLDERS.flatMap((folder) => linksIn(join(root, folder)));
  return namesIn(join(root, 'sys/class/tty'))
    .filter((name) => hasHardware(join(root, 'sys/class/tty', name)))
    .toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true }))
    .map((name) => ({
      path: join(root, 'dev', name),
      links: links.filter(({ target }) => basename(target) === name).map(({ path }) => path),
      usb: usbOf(join(root, 'sys/class/tty', name, 'device')),
    }));
}

/** The file that a port's name leads to; undefined when it leads nowhere. */
export function realPort(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // No such name, or one that may not be followed: nothing is there for us.
    return undefined;
  }
}

function namesIn(folder: string): readonly string[] {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : [];
}

function linksIn(folder: string): readonly { readonly path: string; readonly target: string }[] {
  return namesIn(folder).flatMap((name) => {
    const path = join(folder, name);
    const target = realPort(path);
    return target === undefined ? [] : [{ path, target }];
  });
}

/** A console has no device; a place for an 8250 that is not there has the type 0. */
function hasHardware(folder: string): boolean {
  return existsSync(join(folder, 'device')) && line(join(folder, 'type')) !== '0';
}

function usbOf(device: string): UsbAdapter | undefined {
  let folder = realPort(device);
  for (let level = 0; folder !== undefined && level < LEVELS_MAX; level++) {
    const vendorId = line(join(folder, 'idVendor'));
    if (vendorId !== undefined) {
      return {
        vendorId,
        productId: line(join(folder, 'idProduct')) ?? '',
        manufacturer: line(join(folder, 'manufacturer')),
        product: line(join(folder, 'product')),
        serialNumber: line(join(folder, 'serial')),
      };
    }
    folder = dirname(folder);
  }
  return undefined;
}

function line(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}
