import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { THOROUGH_TESTS } from './test/thorough/files.ts';

/** The demo's machines live in real time: begun first, they are through while the rest works. */
class DemoFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isDemo = ({ moduleId }: TestSpecification) => moduleId.includes('/test/demo/');
    return [...sorted.filter(isDemo), ...sorted.filter((file) => !isDemo(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts'],
    // They have commands of their own: `npm run test:browser`, `test:machine`, `test:ptys` ...
    exclude: [
      ...THOROUGH_TESTS,
      'test/browser/**',
      'test/field/**',
      'test/machine/**',
      'test/ptys/**',
      'test/protocol/chaos/**',
      'node_modules/**',
    ],
    // No test waits for time: this ends only one that hangs, on however busy a computer.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What is waited for is another process's doing; one second is too little on a busy box.
    expect: { poll: { timeout: 20_000 } },
    // Much of the time goes into waiting for sockets, ttys and other processes.
    maxWorkers: availableParallelism() + 1,
    // No test leaves anything in a module: loading all anew per file is a quarter of the time.
    isolate: false,
    sequence: { sequencer: DemoFirst },
    coverage: {
      provider: 'v8',
      include: ['agent/**/*.ts', 'state/**/*.ts', 'protocol/base/**/*.ts'],
      reporter: ['text-summary'],
      reportOnFailure: true,
      thresholds: {
        'state/**': { branches: 95 },
        'protocol/base/**': { branches: 95 },
        'agent/**': { branches: 95 },
      },
    },
  },
});
