/** The demo's world on disk: one JSON file beside the relay's database. Its money is play money. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, systemCode } from '#protocol/base/errors.ts';
import { bunkerStateSchema } from './bunker-policy.ts';
import { keeperStateSchema } from './keeper/state.ts';

const secretKey = z.string().regex(/^[0-9a-f]{64}$/);

const stateSchema = z.object({
  version: z.literal(1),
  /** Secret keys in hex; `operator` is the first one, the books hold the one in use. */
  keys: z.object({ spire: secretKey, transport: secretKey, operator: secretKey, node: secretKey }),
  /** The same ports again, because pairings and links name them. */
  relayPort: z.number().int(),
  lnurlPort: z.number().int(),
  seed: z.string(),
  bunker: bunkerStateSchema,
  keeper: keeperStateSchema,
});

/** Keys, ports, bindings and books, plain JSON. */
export type WorldState = z.infer<typeof stateSchema>;

const STATE_FILE = 'world.json';
const RELAY_FILE = 'relay.sqlite';

/** Where the relay of a world keeps its events; makes the folder. */
export function relayFile(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, RELAY_FILE);
}

/** Writes a world; a cut leaves the old file or the new one. */
export function saveWorld(folder: string, state: WorldState): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, STATE_FILE);
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Reads a world; undefined when there is none. @throws ConfigError `corrupt` */
export function loadWorld(folder: string): WorldState | undefined {
  const file = join(folder, STATE_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ConfigError('corrupt', `${file} holds no world; remove it to begin anew`, { cause });
  }
}
