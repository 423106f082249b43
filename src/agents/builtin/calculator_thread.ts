/** The one thread of the calculator: started when it is needed, ended when it hangs or is idle. */

import type { CancelTimer, Clock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { missingFlags } from "../../base/permissions.ts";
import type { CalculatorMessage } from "./calculator_worker.ts";
import type { Calculated } from "./expression.ts";

// The first start on a device may download mathjs; on a Raspberry Pi loading takes seconds.
const LOAD_MS = 60_000;

interface Job {
  readonly expression: string;
  readonly resolve: (value: Calculated) => void;
  readonly reject: (reason: unknown) => void;
}

/** What {@linkcode CalculatorThread} takes. */
export interface CalculatorThreadOptions {
  readonly clock: Clock;
  /** How long one expression may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How long the thread waits for the next expression before it ends, in milliseconds. */
  readonly idleMs: number;
}

/** Evaluates expressions one after the other in a worker. */
export class CalculatorThread {
  readonly #options: CalculatorThreadOptions;
  readonly #waiting: Job[] = [];
  #current: Job | undefined;
  #worker: Worker | undefined;
  #ready = false;
  #cancelTimer: CancelTimer = () => {};

  constructor(options: CalculatorThreadOptions) {
    this.#options = options;
  }

  /**
   * Evaluates `expression` when those before it are done.
   *
   * @throws {NetworkError} The signal's reason as soon as it aborts; `INVALID_ARGUMENT` when the
   * expression is wrong or takes too long; `UNAVAILABLE` when the thread cannot be started.
   */
  async evaluate(expression: string, signal: AbortSignal): Promise<Calculated> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Calculated>();
    const job = { expression, resolve, reject };
    const onAbort = () => this.#abandon(job, signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.push(job);
    this.#advance();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the thread; what waits for it fails. A later expression starts it anew. */
  stop(): void {
    this.#failAll(new NetworkError("CANCELLED", "Stopped: the calculator's node is stopping."));
  }

  /** Gives the next expression to the thread, or lets it idle when there is none. */
  #advance(): void {
    if (this.#current !== undefined) return;
    const next = this.#waiting[0];
    if (next === undefined) {
      if (this.#worker !== undefined) this.#after(this.#options.idleMs, () => this.#end());
      return;
    }
    if (this.#worker === undefined) return this.#start();
    if (!this.#ready) return;
    this.#waiting.shift();
    this.#current = next;
    this.#worker.postMessage(next.expression);
    this.#after(this.#options.timeoutMs, () => {
      const seconds = this.#options.timeoutMs / 1000;
      this.#abandon(next, new Error(`it takes longer than ${seconds} s`));
    });
  }

  #start(): void {
    const path = threadFiles();
    const flags = path === undefined ? [] : missingFlags({ name: "read", path });
    if (flags.length > 0) return this.#failAll(cannotStart("not permitted", `Grant ${flags[0]}`));
    const worker = new Worker(new URL("./calculator_worker.ts", import.meta.url), {
      type: "module",
      name: "calculator",
    });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<CalculatorMessage>) => {
      if (worker === this.#worker) this.#onMessage(data);
    };
    worker.onerror = (event) => {
      // Unhandled, it would end the process.
      event.preventDefault();
      if (worker === this.#worker) this.#failAll(cannotStart(describeError(event.message)));
    };
    this.#after(LOAD_MS, () => this.#failAll(cannotStart(`not loaded within ${LOAD_MS} ms`)));
  }

  #onMessage(message: CalculatorMessage): void {
    if (message.type === "ready") {
      this.#ready = true;
      this.#cancelTimer();
      this.#advance();
    } else if (message.type === "broken") {
      this.#failAll(cannotStart(message.reason));
    } else {
      const job = this.#current!;
      this.#current = undefined;
      if (message.type === "calculated") job.resolve(message.value);
      else job.reject(new Error(message.reason));
      this.#advance();
    }
  }

  /** Ends what is being evaluated with its thread, and takes what waits out of the queue. */
  #abandon(job: Job, reason: unknown): void {
    const index = this.#waiting.indexOf(job);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
    } else if (job === this.#current) {
      this.#end();
      this.#current = undefined;
    }
    job.reject(reason);
    if (this.#ready || this.#worker === undefined) this.#advance();
  }

  #failAll(error: NetworkError): void {
    this.#end();
    const jobs = this.#waiting.splice(0);
    if (this.#current !== undefined) jobs.unshift(this.#current);
    this.#current = undefined;
    for (const job of jobs) job.reject(error);
  }

  #end(): void {
    this.#cancelTimer();
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#ready = false;
  }

  #after(delayMs: number, callback: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(delayMs, callback);
  }
}

/**
 * Where the thread's modules are: Deno has it read them only with permission, though the rest of
 * the program needs none for its own. Undefined where they are not files of this machine.
 */
export function threadFiles(): URL | undefined {
  const files = new URL("../../", import.meta.url);
  return files.protocol === "file:" && !Deno.build.standalone ? files : undefined;
}

function cannotStart(
  reason: string,
  mend = "It needs mathjs from npm at its first use",
): NetworkError {
  return new NetworkError("UNAVAILABLE", `Cannot start the calculator: ${reason}. ${mend}.`);
}
