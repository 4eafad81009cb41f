/** Where a machine runs: a booted Debian, or plain processes where no container may be booted. */

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What a test wants of the place, the same in both. */
export interface Site {
  /** The folder that is shared with it, as this computer sees it. */
  readonly shared: string;
  /** The same as the machine sees it. */
  readonly sharedInside: string;
  /** The path of one of its files, as this computer sees it. */
  path(inside: string): string;
  /** Runs the `spire` command of the release that runs, to its end. */
  spire(...words: readonly string[]): Promise<Ended>;
  /** The service's process; 0 while there is none. */
  pid(): number;
  /** How often the service was started again by itself. */
  restarts(): number;
  /** Sends the service's process a signal. */
  signal(name: NodeJS.Signals): void;
  /** What was logged. */
  log(): string;
  /** Ends it, and takes away everything that was written. */
  stop(): Promise<void>;
}
