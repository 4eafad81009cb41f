/** Effects of the machines: invoked promise actors, declared as stubs and supplied by main.ts. */
import assert, { AssertionError } from 'node:assert';
import { fromPromise, type PromiseActorLogic } from 'xstate';
import { endProgram } from '#protocol/base/errors.ts';

/** An effect that a machine names but does not have; `provide` replaces it. */
export function stub<Output, Input = undefined>(name: string): PromiseActorLogic<Output, Input> {
  return fromPromise<Output, Input>(() => Promise.reject(new Error(`actor not provided: ${name}`)));
}

/**
 * Makes an effect of an async function. It resolves with an outcome union; a rejection is an
 * unforeseen fault and ends in `needsOperator`. A failed assertion ends the program instead: XState
 * would hand it to `onError`, and a bug would be served to a customer.
 */
export function effect<Output, Input = undefined>(
  run: (input: Input, signal: AbortSignal) => Promise<Output>,
): PromiseActorLogic<Output, Input> {
  return fromPromise<Output, Input>(async ({ input, signal }) => {
    try {
      return await run(input, signal);
    } catch (error) {
      if (error instanceof AssertionError) endProgram(error);
      throw error;
    }
  });
}

/**
 * An outcome of which a guard has told the kind. @throws AssertionError when it is another: then
 * the machine itself is wrong.
 */
export function outcomeAs<Outcome extends { readonly kind: string }, Kind extends Outcome['kind']>(
  outcome: Outcome,
  kind: Kind,
): Extract<Outcome, { readonly kind: Kind }> {
  assert.ok(isKind(outcome, kind), `the outcome is ${outcome.kind} and not ${kind}`);
  return outcome;
}

/** What a machine has by now in any case. @throws AssertionError when it does not: a bug. */
export function given<Value>(value: Value | null, what: string): Value {
  assert.ok(value !== null, `the session has no ${what} yet`);
  return value;
}

function isKind<Outcome extends { readonly kind: string }, Kind extends Outcome['kind']>(
  outcome: Outcome,
  kind: Kind,
): outcome is Extract<Outcome, { readonly kind: Kind }> {
  return outcome.kind === kind;
}
