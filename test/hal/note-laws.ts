/**
 * What holds for the dialogue of every validator that keeps a note in escrow until a command moves
 * it, whatever its device says.
 */
import { expect } from 'vitest';
import type {
  EscrowedNote,
  Move,
  NoteEffect,
  NoteInput,
  NoteState,
  Step,
} from '#hal/escrowed-note.ts';

/** One protocol's dialogue. */
export interface Dialogue<State, Input> {
  readonly empty: State;
  readonly advance: (state: State, input: Input) => Step<State, NoteEffect | Acknowledge>;
  readonly mayStillSend: (state: State, command: Move) => boolean;
}

interface Acknowledge {
  readonly kind: 'acknowledge';
}

/** What the driver and the agent tell it; what the device says is the protocol's own. */
type Told = NoteInput | { readonly kind: 'creditConfirmed' };

/** Everything that is not said by the device and may come at any time. */
export const ANY_TIME: readonly Told[] = [
  { kind: 'deposit' },
  { kind: 'return' },
  { kind: 'late', reason: 'test' },
  { kind: 'gaveUp', reason: 'test' },
  { kind: 'creditTold' },
  { kind: 'creditConfirmed' },
];

/** How a protocol speaks of notes. */
export interface Words<State, Said> {
  /** Whether what was said brings the next note. */
  readonly isNext: (said: Said, before: State, after: State) => boolean;
  /** Whether it is a credit; nothing else may be one. */
  readonly isCredit: (said: Said) => boolean;
}

/**
 * Plays a script as the driver does: one deposit command and one credit for each note, one end for
 * each wait.
 */
export function expectLaws<State extends NoteState, Said extends { readonly kind: 'status' }>(
  { empty, advance, mayStillSend }: Dialogue<State, Said | Told>,
  words: Words<State, Said>,
  script: readonly (Said | Told)[],
): void {
  let state = empty;
  let [credits, stacks, waiting] = [0, 0, 0];
  const apply = (input: Said | Told): void => {
    const step = advance(state, input);
    state = step.state;
    for (const effect of step.effects) {
      if (isCredit(effect)) {
        expect(input.kind === 'status' && words.isCredit(input)).toBe(true);
        credits++;
      }
      if (effect.kind === 'ended') waiting--;
      // The driver carries a command out like this: it asks once more, then says that it left.
      if (effect.kind !== 'send' || !mayStillSend(state, effect.command)) continue;
      if (effect.command === 'stack') stacks++;
      apply({ kind: 'sent', command: effect.command });
    }
  };
  for (const input of script) {
    if (input.kind === 'deposit' || input.kind === 'return') {
      // The driver lets nobody wait where nothing is in escrow or someone waits already.
      if (!isFree(state)) continue;
      waiting++;
    }
    const before = state;
    apply(input);
    expect(credits).toBeLessThanOrEqual(1);
    expect(stacks).toBeLessThanOrEqual(1);
    expect(waiting).toBe(state.operation === 'none' ? 0 : 1);
    if (input.kind === 'status' && words.isNext(input, before, state)) [credits, stacks] = [0, 0];
  }
}

/** What a deposit came to, after these inputs in escrow; undefined while it has no end. */
export function depositAfter<State extends NoteState, Said extends { readonly kind: 'status' }>(
  { empty, advance }: Dialogue<State, Said | Told>,
  escrow: Said,
  inputs: readonly (Said | Told)[],
): string | undefined {
  let { state } = advance(empty, escrow);
  for (const input of [{ kind: 'deposit' } as const, ...inputs]) {
    const step = advance(state, input);
    state = step.state;
    const end = step.effects.find((effect) => effect.kind === 'ended');
    if (end?.kind === 'ended') return end.outcome.kind;
  }
  return undefined;
}

function isFree({ note, operation }: { note: EscrowedNote | undefined; operation: string }) {
  const isDecided = note?.stackSent === true || note?.returnSent === true;
  return note?.value !== undefined && !isDecided && operation === 'none';
}

function isCredit(effect: NoteEffect | Acknowledge): boolean {
  if (effect.kind === 'tell') return effect.event.kind === 'credit.unexpected';
  return effect.kind === 'ended' && effect.outcome.kind === 'deposited';
}
