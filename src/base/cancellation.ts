/** A request to stop: an `AbortController` that costs next to nothing until its signal is asked for. */

type Listener = (reason: unknown) => void;

/** See the top of the file: a controller with its signal costs a microsecond, a tenth of a task. */
export class Cancellation {
  #requested = false;
  #reason: unknown;
  #controller: AbortController | undefined;
  #listeners: Set<Listener> | undefined;

  /** Whether somebody has asked. */
  get requested(): boolean {
    return this.#requested;
  }

  /** Why; undefined before. */
  get reason(): unknown {
    return this.#reason;
  }

  /** The same, for those who take a signal. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#requested) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Asks to stop. Only the first reason counts. */
  cancel(reason: unknown): void {
    if (this.#requested) return;
    this.#requested = true;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) { for (const listener of listeners) listener(reason); }
    this.#controller?.abort(reason);
  }

  /**
   * Calls `listener` once, when somebody asks; never when somebody has asked before.
   *
   * @returns Takes it back.
   */
  onCancel(listener: Listener): () => void {
    const listeners = this.#listeners ??= new Set();
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** @throws The reason, when somebody has asked. */
  throwIfRequested(): void {
    if (this.#requested) throw this.#reason;
  }
}
