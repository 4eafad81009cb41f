/** A signer that asks the budget first. */
import type { EventTemplate, SignedEvent } from '../event.ts';
import type { SignatureBudget, SignaturePurpose } from './signature-budget.ts';
import { type Signer, SignerError, type SignerHealth } from './signer.ts';

/**
 * One signer as one kind of user sees it. A signature that the budget does not give is a `silent`
 * SignerError about this one call: whoever asked tries again later, as with a bunker at its cap.
 */
export class BudgetedSigner implements Signer {
  readonly #signer: Signer;
  readonly #budget: SignatureBudget;
  readonly #purpose: SignaturePurpose;

  constructor(signer: Signer, budget: SignatureBudget, purpose: SignaturePurpose) {
    this.#signer = signer;
    this.#budget = budget;
    this.#purpose = purpose;
  }

  get pubkey(): string {
    return this.#signer.pubkey;
  }

  async sign(template: EventTemplate): Promise<SignedEvent> {
    if (this.#budget.take(this.#purpose)) return this.#signer.sign(template);
    const reason = 'the signatures that the bunker gives are used up or reserved';
    throw new SignerError({ kind: 'silent', reason }, `sign_event of kind ${template.kind}`);
  }

  encrypt(peer: string, plaintext: string): Promise<string> {
    return this.#signer.encrypt(peer, plaintext);
  }

  decrypt(peer: string, ciphertext: string): Promise<string> {
    return this.#signer.decrypt(peer, ciphertext);
  }

  health(): SignerHealth {
    return this.#signer.health();
  }

  async probe(): Promise<SignerHealth> {
    this.#budget.take(this.#purpose);
    return this.#signer.probe();
  }

  close(): Promise<void> {
    return this.#signer.close();
  }
}
