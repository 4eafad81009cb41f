/**
 * Telemetry for the operator where his bunker signs it; elsewhere it is off, nothing closes for it,
 * and `spire doctor` says why. The policy that bunkers come with does not grant its kind, and one
 * that does not is as silent as a dead one: so it is tried while nobody is there, and a probe tells
 * the two apart (bitspire-wire.md 4 and 8).
 */
import { z } from 'zod';
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { DocumentPublisher } from '#protocol/documents/publisher.ts';
import { telemetryDocument } from '#protocol/documents/telemetry.ts';
import type { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import { type Signer, SignerError } from '#protocol/signer/signer.ts';
import type { Store } from '#state/store.ts';
import type { StatusView } from '../api/schemas.ts';
import { keepLanded } from './outgoing.ts';

/** After a start, ms: what matters more has been signed by then. */
const FIRST_MS = 600_000;
/** Between two snapshots, and after a try that decided nothing, ms. */
const PACE_MS = 900_000;
/** Until a bunker that does not grant it is asked once more, ms; each start asks too. */
const DENIED_MS = 86_400_000;
/** Until it is looked again whether somebody is there, ms. */
const BUSY_MS = 60_000;
/** The snapshot's own, and that of the probe that judges a failure. */
const SIGNATURES = 2;
const FACT = 'telemetry';
const SAID = 'what the bunker makes of telemetry';

const grantSchema = z.discriminatedUnion('isGranted', [
  z.object({ isGranted: z.literal(true) }),
  z.object({ isGranted: z.literal(false), why: z.string() }),
]);

/** Whether the bunker signs telemetry, as far as it was seen; undefined before the first try. */
export function telemetryGrant(store: Store): z.output<typeof grantSchema> | undefined {
  return grantSchema.safeParse(store.facts.get(FACT)?.value).data;
}

/** What it works with. */
export interface TelemetryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly publisher: Pick<DocumentPublisher, 'publish'>;
  readonly signer: Pick<Signer, 'health' | 'probe'>;
  readonly signatures: Pick<SignatureBudget, 'has'>;
  readonly version: string;
  operatorPubkey(): string;
  status(): StatusView;
  /** True while nobody is served, and no hands are in the machine. */
  isIdle(): boolean;
}

/** See the head of the file. */
export class TelemetryWatch {
  readonly #options: TelemetryOptions;
  readonly #closed = new AbortController();

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /** Starts to try. */
  open(): void {
    void this.#rounds().catch((err: unknown) => {
      if (!this.#closed.signal.aborted) this.#options.log.fatal({ err }, 'telemetry ended');
    });
  }

  /** Ends it at once. */
  close(): void {
    this.#closed.abort(new Error('closed'));
  }

  async #rounds(): Promise<void> {
    for (let waitMs = FIRST_MS; ; waitMs = await this.#round()) {
      await sleep(this.#options.clock, waitMs, this.#closed.signal);
    }
  }

  /** Tries once where that disturbs nobody; gives the time until the next, ms. */
  async #round(): Promise<number> {
    const { signer, signatures, isIdle } = this.#options;
    const isMoment = isIdle() && signer.health().kind === 'ok' && signatures.has(SIGNATURES);
    if (!isMoment) return BUSY_MS;
    try {
      await this.#publish();
      return PACE_MS;
    } catch (error) {
      // Signer, relay or disk; anything else is a bug.
      if (!(error instanceof AtmError)) throw error;
      return (await this.#isDenied(error)) ? DENIED_MS : PACE_MS;
    }
  }

  /** A bunker that does not sign this, and the next thing after it, does not grant this. */
  async #isDenied(error: AtmError): Promise<boolean> {
    try {
      if (!(error instanceof SignerError)) return false;
      if ((await this.#options.signer.probe()).kind !== 'ok') return false;
      this.#note({ isGranted: false, why: error.message });
      return true;
    } catch (fault) {
      if (!(fault instanceof AtmError)) throw fault;
      return false;
    }
  }

  async #publish(): Promise<void> {
    const { publisher, store, clock, operatorPubkey, status, version } = this.#options;
    const document = telemetryDocument(telemetryOf(status(), version));
    const operator = operatorPubkey();
    const publication = await publisher.publish(document);
    if (this.#closed.signal.aborted || publication.kind === 'notSent') return;
    this.#note({ isGranted: true });
    const { event, landed } = publication;
    if (!landed) return;
    store.commit(() => keepLanded(store, clock, { document, operatorPubkey: operator, event }));
  }

  #note(grant: z.output<typeof grantSchema>): void {
    const { store, clock, log } = this.#options;
    if (this.#closed.signal.aborted) return;
    const { isGranted, ...more } = grant;
    if (telemetryGrant(store)?.isGranted !== isGranted) log.info({ document: FACT, ...more }, SAID);
    store.commit(() => store.facts.put(FACT, { ...grant }, clock.now()));
  }
}

/** A status as telemetry has it. */
function telemetryOf(status: StatusView, version: string) {
  const { machine, bayUse } = status;
  const direction = ({ open, reasons }: StatusView['machine']['cashIn']) => {
    return { open, reasons: reasons.map(({ code }) => code) };
  };
  return {
    ...{ version, state: machine.state },
    ...{ cashIn: direction(machine.cashIn), cashOut: direction(machine.cashOut) },
    ...{ signer: status.signer.code, validator: status.acceptor.code },
    ...{ dispenser: status.dispenser.code, clockOffsetMs: status.clockOffsetMs },
    bays: status.cashUnits.map(({ position, denomination, count, accuracy, parked }) => {
      const use = bayUse.find((one) => one.position === position);
      const { daysToEmpty = null, notesPerReject = null } = use ?? {};
      return { position, denomination, count, accuracy, parked, daysToEmpty, notesPerReject };
    }),
    ...{ openObligations: status.openObligations, journal: status.journal },
  };
}
