/** A whole machine on virtual time behind its real socket, and a technician in this process. */
import { type RunningApi, startApi } from '#agent/api/server.ts';
import type { Permission } from '#agent/api/visit-schemas.ts';
import { silentLog } from '#protocol/base/log.ts';
import { SCREEN_FILE } from '#test/agent/api/harness.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';
import { hiddenText } from '#test/support/written.ts';
import { type Ended, inProcess } from '../process.ts';
import { Person, wireHere } from './person.ts';

/** A PIN that may be chosen. */
export const PIN = '482915';
/** Everything that a technician may be allowed. */
export const ALL: readonly Permission[] = ['counts', 'exchange', 'test', 'collect', 'settle'];
/** Virtual time that passes with each breath of the test, ms: devices go on, nobody is late. */
const BREATH_MS = 20;

/** The machine and its socket. */
export class OpenMachine implements AsyncDisposable {
  readonly machine: WholeMachine;
  #api: RunningApi | undefined;
  #breath: Promise<void> = Promise.resolve();
  #breathing = new AbortController();

  constructor(machine: WholeMachine) {
    this.machine = machine;
  }

  static async inService(options: MachineOptions = {}): Promise<OpenMachine> {
    const open = new OpenMachine(await WholeMachine.inService(options));
    await open.#serve();
    return open;
  }

  get socketPath(): string {
    return this.machine.config.paths.socket;
  }

  get store() {
    return this.machine.running.store;
  }

  async #serve(): Promise<void> {
    const { clock, random } = this.machine;
    this.#api = await startApi({
      ...{ clock, random, log: silentLog, screenFile: SCREEN_FILE },
      service: this.machine.running.service,
      socketPath: this.socketPath,
    });
    this.#breathing = new AbortController();
    this.#breath = this.#breathe(this.#breathing.signal);
  }

  async #breathe(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.machine.clock.advance(BREATH_MS);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async #hush(): Promise<void> {
    this.#breathing.abort();
    await this.#breath;
    await this.#api?.close();
  }

  /** Cuts the power; nobody answers until `powerOn`. */
  async cutPower(): Promise<void> {
    await this.#hush();
    this.machine.cutPower();
  }

  async powerOn(): Promise<void> {
    await this.machine.powerOn();
    await this.#serve();
  }

  /** Runs a command here. */
  run(...words: string[]): Promise<Ended> {
    return inProcess([...words, '--socket', this.socketPath]);
  }

  /** A technician with a PIN, and the commands of his own that he begins. */
  async join(name: string, permissions: readonly Permission[] = ALL): Promise<void> {
    const { visit } = this.machine.running.service;
    const request = { name, permissions: [...permissions], expiresAtUnixMs: null };
    const { invite } = visit.invite({ kind: 'owner' }, request);
    this.machine.hide('an invite', hiddenText, invite);
    await visit.redeem(invite, PIN);
  }

  /** Somebody at the terminal. */
  person(...words: string[]): Person {
    const { socketPath: path, machine } = this;
    return new Person(wireHere(['service', '--socket', path, ...words], machine.clock));
  }

  /** Somebody who has signed in and goes to the exchange. */
  async technician(name = 'Ana', ...words: string[]): Promise<Person> {
    const person = this.person(...words);
    await person.type(/Your name|Su nombre/, name);
    await person.type(/Your PIN|Su PIN/, PIN);
    return person;
  }

  /** Counts by account, `bay:1 20: 10`. */
  counts(): string[] {
    return this.store.ledger
      .balances()
      .map(({ account, value, count }) => `${account} ${value / 100}: ${count}`);
  }

  /** Puts notes into a cassette, as a hand does. */
  fill(position: number, denomination: number, count: number): void {
    this.machine.dispenser.control({ do: 'cassette', position, denomination, count });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hush();
    await this.machine.stop();
  }
}
