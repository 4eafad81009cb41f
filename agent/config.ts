/** The configuration file: one schema, parsed once, each room gets its slice. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError, messageOf } from '#protocol/base/errors.ts';
import { minorDigits } from '#protocol/base/money.ts';
import { languages } from './texts/fill.ts';

const wholeSats = z.int().nonnegative();

function isCurrency(code: string): boolean {
  try {
    return minorDigits(code) >= 0;
  } catch {
    return false;
  }
}

/** Where the price of a bitcoin comes from (design 6.1). */
const rateSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('fixed'), minorPerBtc: z.int().positive() }),
  z.strictObject({ kind: z.literal('lnbits'), url: z.url({ protocol: /^https$/ }) }),
  z.strictObject({ kind: z.literal('public') }),
]);

const deviceSchema = z.strictObject({
  protocol: z.string().min(1),
  model: z.string().optional(),
  port: z.string().min(1).describe('Device file; one under /dev/serial/by-id stays the same.'),
  channels: z
    .array(z.int().nonnegative())
    .min(1)
    .max(16)
    .optional()
    .describe('SIO only: face value of the note on each channel, in order; 0 for one not in use.'),
});

/** The file's schema. Defaults are said here and nowhere else. */
export const configSchema = z.strictObject({
  currency: z.string().refine(isCurrency, 'must be an ISO 4217 code such as USD'),
  language: z
    .enum(languages)
    .default('en')
    .describe('Of the screen, until a customer chooses another, and of `spire service`.'),
  model: z.string().default('bitSpire'),
  support: z.strictObject({
    contact: z.string().min(3).describe('Shown with every reference: a telephone number, say.'),
  }),
  validator: deviceSchema,
  dispenser: deviceSchema,
  replugNeedsPerson: z
    .boolean()
    .default(false)
    .describe('A device that was unplugged, or is another one, waits for a person to accept it.'),
  network: z.enum(['bitcoin', 'testnet', 'signet', 'regtest']).default('bitcoin'),
  limits: z.strictObject({
    max_cash_in_sats: wholeSats
      .nullable()
      .describe('Most sats of one cash-in; null for no cap, 0 to refuse all. Must be written.'),
    noEscrowSats: wholeSats
      .default(100_000)
      .describe('Most sats of one cash-in where the validator cannot give a note back.'),
    exposurePerHourSats: wholeSats.default(20_000_000),
    exposurePerDaySats: wholeSats.default(100_000_000),
    walletReserveSats: wholeSats.default(0),
    walletFloatSats: wholeSats
      .optional()
      .describe('What the wallet should hold at most; `spire doctor` warns above it.'),
    cashOutMaxMinor: z.int().positive().optional(),
    cashOutNotesMax: z.int().min(1).max(200).default(40),
  }),
  signer: z
    .strictObject({
      caps: z
        .array(z.strictObject({ count: z.int().positive(), minutes: z.int().positive() }))
        .default([])
        .describe('What the bunker gives: so many signatures in so many minutes; all hold.'),
      tokenExpiresOn: z
        .union([z.iso.date(), z.literal('never')])
        .optional()
        .describe("When the bunker's grant expires; `spire doctor` reminds in time."),
    })
    .prefault({}),
  rate: rateSchema.default({ kind: 'public' }),
  cassettes: z
    .strictObject({
      changedDenomination: z.enum(['park', 'apply']).default('park'),
      raisedCount: z.enum(['set', 'park']).default('set'),
    })
    .prefault({}),
  beacon: z
    .strictObject({ public: z.boolean().default(false), cashLevel: z.boolean().default(false) })
    .prefault({}),
  allowPrivateHosts: z
    .boolean()
    .default(false)
    .describe('Relays and links on loopback and private addresses: for the demo only.'),
  paths: z
    .strictObject({
      state: z.string().default('/var/lib/spire'),
      socket: z.string().default('/run/spire/agent.sock'),
    })
    .prefault({}),
  screen: z.strictObject({ port: z.int().min(0).max(65_535) }).default({ port: 8080 }),
  log: z
    .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'trace']).default('info') })
    .prefault({}),
});

/** The configuration, complete. */
export type Config = z.output<typeof configSchema>;

/**
 * Checks a configuration. @throws ConfigError `invalidData` that lists everything that is
 * wrong.
 */
export function parseConfig(input: unknown): Config {
  const result = configSchema.safeParse(input, {
    error: ({ code, input: found }) =>
      code === 'invalid_type' && found === undefined ? 'is missing' : undefined,
  });
  if (result.success) return result.data;
  throw new ConfigError(
    'invalidData',
    `the configuration is wrong:\n${z.prettifyError(result.error)}`,
  );
}

/** Reads a configuration file. @throws ConfigError `notFound` or `invalidData`. */
export function readConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError('notFound', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError('invalidData', `${path} is no JSON: ${messageOf(cause)}`, { cause });
  }
  return parseConfig(input);
}
