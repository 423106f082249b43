/** How many attempts may be repeated: a share of the traffic, so that trouble does not feed itself. */

/** Of the first attempts. */
const SHARE = 0.2;
/** Saved up at most, which is also what there is at first: one person's few tasks may all repeat. */
const MOST = 20;

/** See the top of the file. */
export class RetryBudget {
  #tokens = MOST;

  /** A task is begun. */
  earn(): void {
    this.#tokens = Math.min(MOST, this.#tokens + SHARE);
  }

  /** Whether no attempt may be repeated now. */
  get isSpent(): boolean {
    // A fifth of five is a little less than one.
    return this.#tokens < 1 - 1e-9;
  }

  /** Whether one more attempt at it may be made; then it is paid for. */
  spend(): boolean {
    if (this.isSpent) return false;
    this.#tokens--;
    return true;
  }

  /** The attempt that was paid for was not made. */
  refund(): void {
    this.#tokens = Math.min(MOST, this.#tokens + 1);
  }
}
