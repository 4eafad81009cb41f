/**
 * Careless changes, as data: what the simulation must find. Each is a text of the tree that another
 * takes the place of; one that is not there exactly once has to be brought up to date.
 */

/** One text in the place of another. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** One careless change. */
export interface Mutation {
  /** In the words of whoever would make it. */
  readonly name: string;
  readonly edits: readonly Edit[];
  /**
   * The run that finds it, of the seed of `mutants.ts` or a past one: tried first. What no longer
   * finds it, since seeds mean other runs with every change of devices, is looked for afresh.
   */
  readonly run: string;
}

const NOTE = 'agent/cash-in/note.ts';
const BATCH = 'agent/cash-out/dispense-batch.ts';
const CLASSIFY = 'agent/cash-out/classify.ts';
const WITHDRAWS = 'agent/cash-in/withdraws.ts';
const PAYMENTS = 'agent/cash-out/payments.ts';
const MAIN = 'agent/main.ts';

/** All of them. */
export const mutations: readonly Mutation[] = [
  {
    name: 'acknowledge before journaling',
    run: 'mutants:0',
    edits: [
      {
        file: NOTE,
        from: `      const total = book(parts, intent, input, outcome.value, outcome.evidence);
      await parts.acceptor.confirmDeposit();
`,
        to: `      await parts.acceptor.confirmDeposit();
      const total = book(parts, intent, input, outcome.value, outcome.evidence);
`,
      },
    ],
  },
  {
    name: 'book a note before the device proves it',
    run: 'mutants:3',
    edits: [
      {
        file: NOTE,
        from: `    case 'unknown':
      return settleUnknown(parts, intent, input, outcome.evidence);
`,
        to: `    case 'unknown':
      return { kind: 'deposited', total: book(parts, intent, input, input.value, 'sent') };
`,
      },
    ],
  },
  {
    name: 'deposit without an intent on disk',
    run: 'mutants:0',
    edits: [
      {
        file: NOTE,
        from: `  const intent = intend(parts, kind, input);
  let outcome: DepositOutcome | ReturnOutcome;
  try {
    outcome = await command();
`,
        to: `  let outcome: DepositOutcome | ReturnOutcome;
  let intent: Intent;
  try {
    outcome = await command();
    intent = intend(parts, kind, input);
`,
      },
    ],
  },
  {
    // Both, for either is enough: the slot is shut for what does not fit, and escrow looks again.
    name: 'no look at the cap, at the slot and at escrow',
    run: 'mutants:6',
    edits: [
      {
        file: 'agent/cash-in/session.ts',
        from: `  if (principal > 0 && principalSats + principal <= capSats) return { kind: 'fits' };
`,
        to: `  if (principal > 0) return { kind: 'fits' };
`,
      },
      {
        file: 'agent/cash-in/terms.ts',
        from: `    .filter((value) => principal + principalOfNote(value, rate) <= capSats)
`,
        to: `    .filter((value) => principal + capSats > 0 && principalOfNote(value, rate) > 0)
`,
      },
    ],
  },
  {
    name: 'retry a dispense that was not answered',
    run: 'mutants:1',
    edits: [
      {
        file: BATCH,
        from: `  const judgement = await judge(parts, asked, outcome, baseline);
  // What is owed`,
        to: `  const again = outcome.kind === 'unknown' ? await dispenser.dispense(asked) : outcome;
  const judgement = await judge(parts, asked, again, baseline);
  // What is owed`,
      },
    ],
  },
  {
    name: 'forget what was rejected',
    run: 'mutants:0',
    edits: [
      {
        file: BATCH,
        from: `    bookOut(parts, transactionId, bay, 'reject', rejected, openedAtUnixMs);
`,
        to: '',
      },
    ],
  },
  {
    name: 'take a cut dispense for one that never began',
    run: 'mutants:4',
    edits: [
      {
        file: BATCH,
        from: `    { kind: 'unknown', evidence: 'cut while the notes were on their way' },
`,
        to: `    { kind: 'notExecuted', evidence: 'cut while the notes were on their way' },
`,
      },
    ],
  },
  {
    name: 'trust a last result that is the one before',
    run: 'mutants:1',
    edits: [
      {
        file: CLASSIFY,
        from: 'if (baseline.sequenceNumber !== undefined && sequenceNumber',
        to: 'if (last === undefined && sequenceNumber',
      },
      {
        file: CLASSIFY,
        from: `  if (last?.dispense && (ran || changed)) {
`,
        to: `  if (last?.dispense) {
`,
      },
    ],
  },
  {
    name: 'trust a number that rose, whatever happened to the device',
    run: 'look1:90',
    edits: [
      {
        file: CLASSIFY,
        from: `    status.device === 'ready' &&
    baseline.sequenceNumber !== undefined &&
`,
        to: `    baseline.sequenceNumber !== undefined &&
`,
      },
    ],
  },
  {
    name: 'settle an unknown dispense as none',
    run: 'mutants:0',
    edits: [
      {
        file: CLASSIFY,
        from: `  class: 'unknown',
  units: [],
  trusted: false,
  evidence,
`,
        to: `  class: 'none',
  units: [],
  trusted: true,
  evidence,
`,
      },
    ],
  },
  {
    name: 'show a second link',
    run: 'second link d',
    edits: [
      {
        file: WITHDRAWS,
        from: `    if (now.state !== 'open' || body.lnurlHash !== undefined) {
`,
        to: `    if (now.state !== 'open') {
`,
      },
    ],
  },
  {
    name: 'take any preimage',
    run: 'mutants:2',
    edits: [
      {
        file: PAYMENTS,
        from: "hash === expected.paymentHash ? undefined : 'the preimage is of another payment'",
        to: "hash === '' ? 'the preimage is of another payment' : undefined",
      },
    ],
  },
  {
    name: 'keep a late payment in silence',
    run: 'mutants:2',
    edits: [
      {
        file: PAYMENTS,
        from: `      if (!owe) return;
      store.obligations.insert({`,
        to: `      if (!owe || isLate) return;
      store.obligations.insert({`,
      },
    ],
  },
  {
    name: 'apply a stale document',
    run: 'mutants:0',
    edits: [
      {
        file: 'protocol/documents/inbox.ts',
        from: `    return isAboveDisk && supersedes(version, this.#accepted.get(type));
`,
        to: `    return isAboveDisk || !isAboveDisk;
`,
      },
    ],
  },
  {
    name: 'take a document for the counts of now',
    run: 'mutants:13',
    edits: [
      {
        file: 'agent/documents/apply-cassettes.ts',
        from: `  const target = Math.max(0, bay.count + since.sum);
`,
        to: `  const target = bay.count;
`,
      },
    ],
  },
  {
    name: 'date what a cut left open by when it is written',
    run: 't2:1',
    edits: [
      {
        file: 'agent/cash-out/dispense-batch.ts',
        from: `    atUnixMs: begunAtUnixMs === undefined ? now : endOf(begunAtUnixMs, now),
`,
        to: `    atUnixMs: now,
`,
      },
    ],
  },
  {
    name: 'apply counts while the end of a dispense is not written',
    run: 't2:1',
    edits: [
      {
        file: MAIN,
        from: " && !openActOn({ store }, 'dispenser')",
        to: '',
      },
    ],
  },
  {
    name: 'drop the fsync of each commit',
    run: 'mutants:1',
    edits: [
      {
        file: 'state/database.ts',
        from: `{ name: 'synchronous', set: 'FULL', reads: 2 }`,
        to: `{ name: 'synchronous', set: 'NORMAL', reads: 1 }`,
      },
    ],
  },
  {
    name: 'keep what happened by the clock of the computer',
    run: 'mutants:22',
    edits: [
      {
        file: MAIN,
        from: 'const corrected = { ...options, clock: time.world };',
        to: 'const corrected = { ...options, clock };',
      },
    ],
  },
  {
    name: 'restore a snapshot',
    run: 'mutants:0',
    edits: [
      {
        file: MAIN,
        from: `    const actor = createActor(machine, {
`,
        to: `    const kept = this.store.facts.get('snapshot')?.value;
    const actor = createActor(machine, {
      ...(kept ? { snapshot: JSON.parse(String(kept)) } : {}),
`,
      },
      {
        file: MAIN,
        from:
          `log.debug({ actor: event.actorRef.sessionId, event: event.event.type },` +
          ` 'machine moved');`,
        to: `clock.after(0, () => {
          const snapshot = JSON.stringify(this.#spire.getPersistedSnapshot());
          this.store.commit(() => this.store.facts.put('snapshot', snapshot, clock.now()));
        });`,
      },
    ],
  },
  {
    name: 'open a claim again that was redeemed in part',
    run: 'claim in part',
    edits: [
      {
        file: 'agent/cash-out/claim.ts',
        from: "if (end === 'open') store",
        to: "if (end !== 'redeemed') store",
      },
    ],
  },
];
