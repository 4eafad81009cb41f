/** A machine in a container: Debian booted with systemd, and the package installed without a net. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Container } from './container.ts';
import { IS_EMULATED } from './debian.ts';
import { CONFIGURATION, configurationOf, Machine, readSurroundings } from './machine.ts';
import type { Ended, Site } from './site.ts';
import { SURROUNDINGS } from './surroundings.ts';
import { COMES_LIMIT_MS, until } from './until.ts';

/** The unit. */
export const SERVICE = 'spire-agent.service';
const INSTALL_RUNBOOK = join(import.meta.dirname, '../../systemd/runbooks/install.md');
const NODE = '/repository/node_modules/.bin/node';
/** What systemd cannot do in an emulator; for want of it units of its own fail there as well. */
const NOT_EMULATED = {
  [SERVICE]: 'LoadCredentialEncrypted=',
  'spire-backup.service': 'PrivateNetwork=no',
};
const LOG_LINES = 5_000;

/** See `Site`. */
export class BootedSite implements Site {
  readonly container: Container;
  readonly sharedInside = '/shared';

  constructor(container: Container) {
    this.container = container;
  }

  get shared(): string {
    return this.container.shared;
  }

  path(inside: string): string {
    return this.container.path(inside);
  }

  async spire(...words: readonly string[]): Promise<Ended> {
    return this.container.run('spire', ...words);
  }

  pid(): number {
    return Number(this.property('MainPID'));
  }

  restarts(): number {
    return Number(this.property('NRestarts'));
  }

  signal(name: NodeJS.Signals): void {
    this.container.do('systemctl', 'kill', '--kill-whom=main', `--signal=${name}`, SERVICE);
  }

  log(): string {
    return this.container.do('journalctl', '--no-pager', `--lines=${LOG_LINES}`);
  }

  stop(): Promise<void> {
    return this.container.stop();
  }

  /** One property of the service's unit. */
  property(name: string): string {
    return this.container.property(SERVICE, name);
  }
}

/** Boots a Debian, installs the package as a person would, pairs, and starts the service. */
export async function bootMachine(
  packageFile: string,
): Promise<{ readonly site: BootedSite; readonly machine: Machine }> {
  const site = new BootedSite(await Container.boot());
  const machine = new Machine(site);
  const { container } = site;
  try {
    const deb = machine.give(packageFile, 'spire.deb');
    // This disk has no power cut to survive, and dpkg waits for every file else.
    container.write('/etc/dpkg/dpkg.cfg.d/fast', 'force-unsafe-io\n');
    container.do('dpkg', '--install', deb);
    if (IS_EMULATED) {
      for (const [unit, without] of Object.entries(NOT_EMULATED)) {
        const file = `/etc/systemd/system/${unit}.d/emulated.conf`;
        container.write(file, `[Service]\n${without}\n`);
      }
    }
    const world = [NODE, '/repository/test/machine/world.ts', '/var/lib/world', '/shared'];
    container.do('mkdir', '--parents', '/var/lib/world');
    // A unit, for what is around a machine is there again when its power is.
    const wanted = '[Install]\nWantedBy=multi-user.target\n';
    const unit = `[Unit]\nBefore=${SERVICE}\n[Service]\nExecStart=${world.join(' ')}\n${wanted}`;
    container.write('/etc/systemd/system/world.service', unit);
    container.do('systemctl', 'enable', '--now', '--quiet', 'world');
    const file = join(site.shared, SURROUNDINGS);
    await until('what is around the machine', () => existsSync(file), COMES_LIMIT_MS);
    const found = readSurroundings(file);
    container.write(CONFIGURATION, JSON.stringify(configurationOf(found)));
    if (!IS_EMULATED) sealByCredential(container);
    const { seed, operatorPubkey, transportPubkey, walletId } = found;
    container.do(
      ...['spire', 'pair', seed, '--allow-private-relays'],
      ...['--operator', operatorPubkey, '--transport', transportPubkey, '--wallet', walletId],
    );
    container.do('systemctl', 'enable', '--now', 'spire-agent');
    await machine.inService();
    return { site, machine };
  } catch (cause) {
    const log = site.log();
    await site.stop();
    throw new Error(`the machine does not come in service:\n${log}`, { cause });
  }
}

/** The sealing key as an encrypted credential, made word for word as the runbook says. */
function sealByCredential(container: Container): void {
  const runbook = readFileSync(INSTALL_RUNBOOK, 'utf8');
  const command = /^ *(od .*?spire-sealing-key)$/ms.exec(runbook)?.[1];
  if (command === undefined) throw new Error('the runbook says no more how a key is sealed');
  container.do('mkdir', '--parents', '/etc/credstore.encrypted');
  container.do('sh', '-c', command);
}
