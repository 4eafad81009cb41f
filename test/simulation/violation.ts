/** A promise that was broken; it ends the run at once. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Which promise, in a few words that do not change from run to run. */
  readonly promise: string;

  constructor(promise: string, evidence: string) {
    super(`${promise}: ${evidence}`);
    this.promise = promise;
  }
}
