import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ObligationView } from '#agent/api/schemas.ts';
import {
  duration,
  formatDocuments,
  formatEntry,
  formatObligations,
  wrap,
} from '#agent/cli/format.ts';
import { formatDevice, formatPorts } from '#agent/cli/format-probe.ts';
import { formatStatus } from '#agent/cli/format-status.ts';
import { entry, FakeService } from '#test/agent/api/fake-service.ts';
import { cashIn, idleView } from '#test/agent/api/views.ts';

describe('wrap', () => {
  test('no line is too long, no visible character is lost', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii' }),
        fc.integer({ min: 1, max: 80 }),
        (text, columns) => {
          const lines = wrap(text, columns);
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
          expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
        },
      ),
    );
  });

  test('it breaks between words', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('abcdefgh', 3)).toEqual(['abc', 'def', 'gh']);
    expect(wrap('', 3)).toEqual([]);
  });
});

test.each([
  [0, '0 s'],
  [-5, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_661_000, '1 h 1 min'],
  [86_400_000, '1 d'],
  [93_784_000, '1 d 2 h'],
])('%i ms is %s', (ms, words) => {
  expect(duration(ms)).toBe(words);
});

test('nothing at all is said in words', () => {
  expect(formatDocuments([], 0)).toBe('No documents.');
  expect(formatObligations([])).toBe('Nothing is owed, and nothing is unknown.');
});

test('an obligation of unknown amount says so', () => {
  const plain = {
    ...{ id: 'i', reference: 'K7Q4-9XMB', kind: 'claim', state: 'open' },
    ...{ openedAtUnixMs: 0, ageMs: 0, transactionId: null, evidence: {}, acts: [] },
    ...{ partialDispense: null, settled: null, wayOut: 'Pay it.' },
  };
  const text = formatObligations([
    { ...plain, amountSats: null, amountMinor: null, currency: 'USD' },
    { ...plain, amountSats: null, amountMinor: 500, currency: 'JPY' },
  ]);
  expect(text).toContain('amount unknown');
  expect(text).toContain('500 JPY');
});

test('a settled shortfall is shown with what proves it, and what the form of the operator takes', () => {
  const one: ObligationView = {
    ...{ id: 'i', reference: 'K7Q4-9XMB', kind: 'remainder', state: 'settled' },
    ...{ amountSats: 1_200, amountMinor: 2_000, currency: 'USD', transactionId: 't-1' },
    ...{ openedAtUnixMs: 0, ageMs: 60_000, evidence: { batch: 1 }, wayOut: 'Pay it.' },
    acts: [{ kind: 'dispense', outcome: 'partial', evidence: { presented: 1 } }],
    partialDispense: { dispensed_sats: 500, dispensed_fraction: 0.5 },
    settled: { atUnixMs: 0, by: 'Ana', reason: 'paid in cash' },
  };
  const text = formatObligations([one]);
  for (const words of [
    'K7Q4-9XMB  remainder, settled, 1 min old',
    '1200 sats, 20.00 USD',
    'transaction=t-1',
    'batch=1',
    'dispense: partial presented=1',
    'dispensed_sats=500',
    'dispensed_fraction=0.5',
    'by Ana: paid in cash',
  ]) {
    expect(text).toContain(words);
  }
  const nobody = { atUnixMs: 0, by: null, reason: null };
  expect(formatObligations([{ ...one, settled: nobody }])).toContain('by -: -');
});

test('ports are listed with their other names, their adapter and who holds them', () => {
  expect(formatPorts([])).toBe('There is no serial port on this computer.');
  const usb = { vendorId: '0403', productId: '6001', manufacturer: 'FTDI' };
  const text = formatPorts([
    { path: '/dev/ttyS0', links: [], usb: undefined, heldBy: null },
    {
      path: '/dev/ttyUSB0',
      links: ['/dev/serial/by-id/one'],
      usb: { ...usb, product: undefined, serialNumber: 'A9' },
      heldBy: 'validator',
    },
    {
      path: '/dev/ttyUSB1',
      links: [],
      usb: { ...usb, product: 'UART', serialNumber: undefined },
      heldBy: null,
    },
  ]);
  expect(text.split('\n').map((line) => line.trim().replace(/ +/g, ' '))).toEqual([
    '/dev/ttyS0',
    '/dev/ttyUSB0',
    'also /dev/serial/by-id/one',
    'adapter FTDI (USB 0403:6001, serial number A9)',
    'held by the agent, for its validator',
    '/dev/ttyUSB1',
    'adapter FTDI UART (USB 0403:6001)',
  ]);
});

test('a device says who it is; one that never did says that, and silence what was tried', () => {
  const device = {
    ...({ device: 'dispenser', protocol: 'lcdm', port: '/dev/ttyS0' } as const),
    condition: { code: 'offline', text: '' },
    ...{ identity: null, status: { path: 'unknown' }, capabilities: {}, counters: null },
  };
  const never = formatDevice({ port: '/dev/ttyS0', source: 'agent', device, attempts: [] });
  expect(never).toContain('held by the agent');
  expect(never).toContain('dispenser, never identified');
  expect(never).toContain('offline');
  expect(never).not.toContain('It can');
  const identity = { protocol: 'lcdm', model: 'LCDM-4000', firmware: '1.2', serialNumber: '77' };
  const known = formatDevice({
    ...{ port: '/dev/ttyS0', source: 'line', attempts: [] },
    device: {
      ...{ ...device, identity, condition: { code: 'fault', text: 'jam' } },
      ...{ capabilities: { purge: true }, counters: { dispensed: 9 } },
    },
  });
  for (const words of ['LCDM-4000', '1.2', '77', 'jam', 'purge: true', 'dispensed: 9']) {
    expect(known).toContain(words);
  }
  const tried = formatDevice({
    ...{ port: '/dev/ttyS0', source: 'line', device: null },
    attempts: [
      { protocol: 'ssp', model: null, outcome: 'silent', text: 'no answer' },
      { protocol: 'lcdm', model: 'LCDM-4000', outcome: 'other', text: 'it speaks otherwise' },
    ],
  });
  expect(tried).toContain('Nothing that is known here answers on /dev/ttyS0.');
  expect(tried).toMatch(/ssp +silent/);
  expect(tried).toMatch(/LCDM-4000 +it speaks otherwise/);
});

test('a machine that knows nothing yet says so', () => {
  const status = new FakeService({ ...idleView, rateMinorPerBtc: null }).status();
  const text = formatStatus({
    ...status,
    walletId: null,
    clockOffsetMs: null,
    relays: [],
    cashUnits: [],
    accounts: [],
    bayUse: [],
    overShort: [],
  });
  expect(text).toContain('none in 90 d');
  const rows = new Map(text.split('\n').map((line) => [line.slice(0, 13).trim(), line.slice(13)]));
  expect(Object.fromEntries(rows)).toMatchObject({
    Price: 'none',
    Session: '-',
    Relays: 'none',
    Clock: 'offset unknown',
    Bays: 'none',
    Notes: 'none',
    Wallet: 'not pinned',
  });
});

test('a session on the screen is named', () => {
  const withFee = { ...idleView.cashIn, feeFraction: null };
  const view = { ...cashIn({ reference: null }), cashIn: withFee };
  const text = formatStatus(new FakeService(view).status());
  expect(text).toMatch(/^Session {6}cash-in, inserting,/m);
  expect(text).toMatch(/^Cash-in {6}open$/m);
});

test('status and probe speak Spanish, with what devices and the operator say as it came', () => {
  const reasons = [{ code: 'noNotes', text: 'bay 1 is empty' }];
  const closed = { ...idleView.cashOut, open: false, reasons };
  const status = new FakeService({ ...idleView, cashOut: closed, language: 'es' }).status();
  const text = formatStatus(status);
  expect(text).toMatch(/^Estado {7}en espera$/m);
  expect(text).toMatch(/^Retiros {6}cerrado$/m);
  expect(text.replaceAll(/\s+/g, ' ')).toMatch(/noNotes: [^(]+ \(bay 1 is empty\)/);
  expect(formatStatus(status, 'en')).toMatch(/^State {8}idle$/m);
  expect(formatPorts([], 'es')).toBe('No hay ningún puerto serie en esta computadora.');
  const attempts = [{ protocol: 'ssp', model: null, outcome: 'silent', text: '' }] as const;
  const silent = { port: '/dev/ttyS0', source: 'line', device: null, attempts } as const;
  expect(formatDevice(silent, 'es')).toContain('En /dev/ttyS0 no responde nada');
});

test('the clock is off by whole milliseconds', () => {
  const status = new FakeService(idleView).status();
  expect(formatStatus({ ...status, clockOffsetMs: 327.16 })).toMatch(/^Clock {8}327 ms off$/m);
});

test('a word that a newer agent has is shown as it is', () => {
  const status = new FakeService(idleView).status();
  const [bay] = status.cashUnits;
  const newer = { ...status, cashUnits: bay ? [{ ...bay, accuracy: 'weighed' }] : [] };
  expect(formatStatus(newer)).toContain(', weighed');
});

test('an entry without a transaction and body is one line', () => {
  const text = formatEntry({ ...entry(7, 'boot'), transactionId: null, body: {} });
  expect(text).toBe('      7  2026-11-21 12:00:07Z  boot');
});
