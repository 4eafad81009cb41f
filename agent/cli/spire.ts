#!/usr/bin/env node
/** The `spire` command. Node is judged before anything is loaded that needs a newer one. */
import { requireNode } from '#protocol/base/node-version.ts';

requireNode();
const { processTerminal, run } = await import('./program.ts');
process.exitCode = await run(process.argv.slice(2), processTerminal());
