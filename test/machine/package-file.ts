/** The packages of a run, each built once: building takes half a minute. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where this run builds its packages. */
    readonly packages: string;
  }
}

const ROOT = join(import.meta.dirname, '../..');

let folder = '';

/** Makes the run's folder. */
export function setup(project: TestProject): void {
  folder = mkdtempSync(join(tmpdir(), 'spire-packages-'));
  project.provide('packages', folder);
}

/** Takes it away when the run ends. */
export function teardown(): void {
  rmSync(folder, { recursive: true, force: true });
}

/** The package for an architecture, built into the run's folder unless it is there. */
export function packageFor(architecture: 'amd64' | 'arm64', into: string): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  const file = join(into, `spire-agent_${version}_${architecture}.deb`);
  if (existsSync(file)) return file;
  const script = join(ROOT, 'systemd/packaging/package.ts');
  execFileSync(process.execPath, [script, '--arch', architecture, '--out', into], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return file;
}
