/** Further releases made of one package: the same program under another version, or a worse one. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Changes a file of the release. @throws Error when what is to be replaced is not there once. */
export type Change = (file: string, from: string, to: string) => void;

/** Makes the package of another release beside the first, changed before it is packed. */
export async function makeRelease(
  packageFile: string,
  version: string,
  worsen: (change: Change) => void = () => undefined,
): Promise<string> {
  const folder = dirname(packageFile);
  const stage = join(folder, `stage-${version}`);
  await run('dpkg-deb', ['--raw-extract', packageFile, stage]);
  const packages = join(stage, 'opt/spire/packages');
  const [old = ''] = readdirSync(packages);
  const release = join(packages, version);
  renameSync(join(packages, old), release);
  const change: Change = (file, from, to) => {
    const path = join(release, file);
    const text = readFileSync(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${file} has not one ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  };
  change('package.json', `"version": "${old}"`, `"version": "${version}"`);
  for (const name of ['control', 'postinst']) {
    const path = join(stage, 'DEBIAN', name);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(old, version));
  }
  worsen(change);
  const file = join(folder, `spire-agent_${version}.deb`);
  await run('dpkg-deb', ['--build', '--root-owner-group', '-Zzstd', '-z1', stage, file]);
  rmSync(stage, { recursive: true });
  return file;
}
