/** What the stand-in keeps over a restart of its process. */
import { z } from 'zod';
import { walletStateSchema } from './wallet.ts';

const fraction = z.number().nonnegative();

/** Reads a kept state. */
export const keeperStateSchema = z.object({
  wallet: walletStateSchema,
  /** Wallets that LNbits made up for senders on no roster. */
  autoAccounts: z.array(z.object({ owner: z.string(), wallet: walletStateSchema })),
  fees: z.object({
    superCashIn: fraction,
    superCashOut: fraction,
    operatorCashIn: fraction,
    operatorCashOut: fraction,
  }),
  maxCashInSats: z.number().int().nonnegative().nullable(),
  /** Hex; it may have been rotated. */
  operatorKey: z.string(),
});

/** Books and settings, plain JSON. */
export type KeeperState = z.infer<typeof keeperStateSchema>;
