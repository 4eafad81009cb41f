import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig, readConfig } from '#agent/config.ts';
import { ConfigError } from '#protocol/base/errors.ts';

const LEAST = {
  currency: 'USD',
  support: { contact: '+1 555 0100' },
  validator: { protocol: 'id003', port: '/dev/serial/by-id/validator' },
  dispenser: { protocol: 'lcdm', port: '/dev/serial/by-id/dispenser' },
  limits: { max_cash_in_sats: null },
};

/** What is said of a configuration. */
function fault(input: unknown): ConfigError {
  try {
    parseConfig(input);
  } catch (error) {
    if (error instanceof ConfigError) return error;
  }
  throw new Error('it was taken');
}

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'spire-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'spire.json');
  writeFileSync(path, text);
  return path;
}

describe('a configuration', () => {
  test('with the least that must be said has every default', () => {
    expect(parseConfig(LEAST)).toEqual({
      ...LEAST,
      language: 'en',
      model: 'bitSpire',
      replugNeedsPerson: false,
      network: 'bitcoin',
      limits: {
        max_cash_in_sats: null,
        noEscrowSats: 100_000,
        exposurePerHourSats: 20_000_000,
        exposurePerDaySats: 100_000_000,
        walletReserveSats: 0,
        cashOutNotesMax: 40,
      },
      signer: { caps: [] },
      rate: { kind: 'public' },
      cassettes: { changedDenomination: 'park', raisedCount: 'set' },
      beacon: { public: false, cashLevel: false },
      allowPrivateHosts: false,
      paths: { state: '/var/lib/spire', socket: '/run/spire/agent.sock' },
      screen: { port: 8080 },
      log: { level: 'info' },
    });
  });

  test.each([0, 1, 400_000, null])('may have %s as its cap', (cap) => {
    const config = parseConfig({ ...LEAST, limits: { max_cash_in_sats: cap } });
    expect(config.limits.max_cash_in_sats).toBe(cap);
  });

  test.each([
    ['no cap is written', { limits: {} }, 'limits.max_cash_in_sats'],
    ['the cap is undefined', { limits: { max_cash_in_sats: undefined } }, 'max_cash_in_sats'],
    ['the cap is below zero', { limits: { max_cash_in_sats: -1 } }, 'max_cash_in_sats'],
    ['the cap is a fraction', { limits: { max_cash_in_sats: 1.5 } }, 'max_cash_in_sats'],
    ['the cap is text', { limits: { max_cash_in_sats: '400000' } }, 'max_cash_in_sats'],
    ['limits are missing', { limits: undefined }, 'limits'],
    ['the currency is none', { currency: 'dollars' }, 'currency'],
    ['the currency is missing', { currency: undefined }, 'currency'],
    ['a key is unknown', { max_cash_in_sats: 5 }, 'Unrecognized key: "max_cash_in_sats"'],
    [
      'a key inside is unknown',
      { limits: { max_cash_in_sats: null, exposurePerMinute: 5 } },
      'exposurePerMinute',
    ],
    [
      'a price is asked for over http',
      { rate: { kind: 'lnbits', url: 'http://x.example' } },
      'url',
    ],
    ['a rate is zero', { rate: { kind: 'fixed', minorPerBtc: 0 } }, 'minorPerBtc'],
    ['nobody can be called', { support: { contact: '' } }, 'support.contact'],
    ['a port is missing', { validator: { protocol: 'id003' } }, 'validator.port'],
  ])('is refused when %s, and the key is named', (_when, change, named) => {
    const error = fault({ ...LEAST, ...change });
    expect(error.code).toBe('invalidData');
    expect(error.message).toContain(named);
  });

  test('is refused with everything that is wrong at once', () => {
    const { message } = fault({ ...LEAST, currency: 'x', limits: {}, surplus: 1 });
    for (const named of ['currency', 'max_cash_in_sats', 'surplus']) {
      expect(message).toContain(named);
    }
  });
});

describe('a file', () => {
  test('is read', () => {
    expect(readConfig(file(JSON.stringify(LEAST))).currency).toBe('USD');
  });

  test.each([
    ['{"currency": "USD",', 'invalidData', 'is no JSON'],
    ['', 'invalidData', 'is no JSON'],
    ['[]', 'invalidData', 'configuration is wrong'],
    ['{}', 'invalidData', 'limits'],
  ])('with %j is refused', (text, code, words) => {
    const path = file(text);
    expect(() => readConfig(path)).toThrow(expect.objectContaining({ code }));
    expect(() => readConfig(path)).toThrow(words);
  });

  test('that is missing is named', () => {
    const read = () => readConfig('/nowhere/spire.json');
    expect(read).toThrow(expect.objectContaining({ code: 'notFound' }));
    expect(read).toThrow('/nowhere/spire.json');
  });
});

test('a key that is missing is named as missing, and so is the cap', () => {
  const { support, ...rest } = LEAST;
  const words = fault({ ...rest, limits: {} }).message;
  expect(support.contact).not.toBe('');
  expect(words).toContain('✖ is missing\n  → at support');
  expect(words).toContain('✖ is missing\n  → at limits.max_cash_in_sats');
});
