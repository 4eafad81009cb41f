/**
 * `npm run simulate`: one simulated device on a tty. This file only makes sure that what it loads
 * can run; see `simulate-command.ts`.
 */
import { requireNode } from '#protocol/base/node-version.ts';

requireNode();
const { runSimulate } = await import('./simulate-command.ts');
process.exitCode = await runSimulate(process.argv.slice(2));
