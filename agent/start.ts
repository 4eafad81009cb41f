#!/usr/bin/env node
/** The way in: the whole machine on simulators, or with `--config` the machine itself. */
import { requireNode } from '#protocol/base/node-version.ts';

requireNode();
// Native code is loaded only now, by a Node that can.
const { run } = process.argv.includes('--config')
  ? await import('./serve.ts')
  : await import('./demo.ts');
const code = await run(process.argv.slice(2));
// Everything was stopped; a library's forgotten timer must not keep a terminal waiting.
process.stdout.write('', () => process.exit(code));
