/** What both sides of the container's wall know of what is around the machine. */
import { z } from 'zod';

/** The devices: a validator with escrow, and a dispenser that remembers its last command. */
export const DEVICES = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'lcdm', model: 'lcdm-4000' },
} as const;

/** Names in the shared folder. */
export const SURROUNDINGS = 'surroundings.json';
export const CONTROL = 'world.sock';

/** What a person would be told who pairs and configures the machine. */
export const surroundings = z.object({
  seed: z.string(),
  operatorPubkey: z.string(),
  transportPubkey: z.string(),
  walletId: z.string(),
  validator: z.string(),
  dispenser: z.string(),
});
export type Surroundings = z.infer<typeof surroundings>;
