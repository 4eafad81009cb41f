/** The kernel's own files say which ports there are; a tree of them stands in for a machine's. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { listSerialPorts, realPort } from '#hal/serial-ports.ts';

/** A computer with a USB adapter, a real 8250, a place for one, and a console. */
function computer() {
  const root = mkdtempSync(join(tmpdir(), 'spire-ports-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const file = (path: string, text = '') => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(join(root, target), join(root, path));
  };
  const usb = 'sys/devices/pci0000:00/usb1/1-1';
  file(`${usb}/idVendor`, '0403\n');
  file(`${usb}/idProduct`, '6001\n');
  file(`${usb}/product`, 'FT232R USB UART\n');
  file(`${usb}/serial`, 'A1B2C3\n');
  file(`${usb}/1-1:1.0/ttyUSB0/port_number`, '0\n');
  link('sys/class/tty/ttyUSB0/device', `${usb}/1-1:1.0/ttyUSB0`);
  mkdirSync(join(root, 'sys/devices/pnp0'), { recursive: true });
  for (const [name, type] of [
    ['ttyS0', '4'],
    ['ttyS1', '0'],
    ['ttyS10', '4'],
    ['ttyS2', '4'],
  ] as const) {
    link(`sys/class/tty/${name}/device`, 'sys/devices/pnp0');
    file(`sys/class/tty/${name}/type`, `${type}\n`);
    file(`dev/${name}`);
  }
  mkdirSync(join(root, 'sys/class/tty/tty0'));
  file('dev/ttyUSB0');
  link('dev/serial/by-id/usb-FTDI_validator', 'dev/ttyUSB0');
  link('dev/spire/by-path/pci-0000:00:14.0-usb-0:1', 'dev/ttyUSB0');
  link('dev/serial/by-id/usb-gone', 'dev/ttyUSB9');
  return root;
}

test('ports with hardware, by name, with the names that stay and what the adapter says', () => {
  const root = computer();
  const ports = listSerialPorts(root);
  expect(ports.map(({ path }) => path.slice(root.length))).toEqual([
    '/dev/ttyS0',
    '/dev/ttyS2',
    '/dev/ttyS10',
    '/dev/ttyUSB0',
  ]);
  expect(ports[3]).toEqual({
    path: join(root, 'dev/ttyUSB0'),
    links: [
      join(root, 'dev/serial/by-id/usb-FTDI_validator'),
      join(root, 'dev/spire/by-path/pci-0000:00:14.0-usb-0:1'),
    ],
    usb: {
      vendorId: '0403',
      productId: '6001',
      manufacturer: undefined,
      product: 'FT232R USB UART',
      serialNumber: 'A1B2C3',
    },
  });
  expect(ports[0]).toMatchObject({ links: [], usb: undefined });
});

test('a computer without any of these files has no ports, and that is no fault', () => {
  const root = mkdtempSync(join(tmpdir(), 'spire-ports-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  expect(listSerialPorts(root)).toEqual([]);
  expect(Array.isArray(listSerialPorts())).toBe(true);
});

test('two names of one port lead to the same file, a name of none leads nowhere', () => {
  const root = computer();
  const byId = join(root, 'dev/serial/by-id/usb-FTDI_validator');
  expect(realPort(byId)).toBe(realPort(join(root, 'dev/ttyUSB0')));
  expect(realPort(join(root, 'dev/serial/by-id/usb-gone'))).toBeUndefined();
});
