/** Counts the threads that a test starts and ends. */

/** Puts a counting class in the place of `Worker` as long as it is in use. */
export class CountedWorkers implements Disposable {
  started = 0;
  running = 0;
  readonly #original = globalThis.Worker;

  constructor() {
    // deno-lint-ignore no-this-alias -- the class below has a `this` of its own
    const counts = this;
    globalThis.Worker = class extends this.#original {
      #ended = false;
      constructor(specifier: string | URL, options?: WorkerOptions) {
        super(specifier, options);
        counts.started++;
        counts.running++;
      }
      override terminate(): void {
        super.terminate();
        if (!this.#ended) counts.running--;
        this.#ended = true;
      }
    };
  }

  [Symbol.dispose](): void {
    globalThis.Worker = this.#original;
  }
}
