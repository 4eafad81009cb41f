#!/usr/bin/env node
/** The `spire` command. Node is judged before anything is loaded that needs a newer one. */
import { requireNode } from '#protocol/base/node-version.ts';

requireNode();
const { run } = await import('./program.ts');
const { processTerminal } = await import('./terminal.ts');
const terminal = processTerminal(process, process.env.CREDENTIALS_DIRECTORY);
process.exitCode = await run(process.argv.slice(2), terminal);
