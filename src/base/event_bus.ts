/** Events from one source to any number of readers, none of which can hold it up. */

/** How a reader wants its events. */
export interface SubscribeOptions {
  /** Ends the iteration at once, without an error; what waits is not read any more. */
  signal?: AbortSignal;
  /**
   * How many events wait for a reader that is behind; the oldest are dropped beyond it.
   *
   * @default {1024}
   */
  capacity?: number;
}

interface Subscriber<T> {
  readonly queue: T[];
  readonly capacity: number;
  /** Calls of `next()` that wait for an event, the first one first. */
  readonly waiting: ((result: IteratorResult<T>) => void)[];
  /** Ends the iteration when what waits has been read. */
  finish(): void;
}

/**
 * Events as async iterables. A reader sees every event from the moment of its subscription; one
 * that falls behind by more than its capacity loses the oldest, never the newest.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { EventBus } from "./event_bus.ts";
 *
 * const bus = new EventBus<number>();
 * const events = bus.subscribe();
 * bus.emit(1);
 * bus.close();
 * assertEquals(await Array.fromAsync(events), [1]);
 * ```
 */
export class EventBus<T> {
  readonly #subscribers = new Set<Subscriber<T>>();
  #closed = false;

  /** Whether anybody reads. */
  get isRead(): boolean {
    return this.#subscribers.size > 0;
  }

  /** Gives `event` to every reader; returns at once. After {@linkcode close} it does nothing. */
  emit(event: T): void {
    for (const { queue, capacity, waiting } of this.#subscribers) {
      const reader = waiting.shift();
      if (reader !== undefined) {
        reader({ done: false, value: event });
        continue;
      }
      if (queue.length >= capacity) queue.shift();
      queue.push(event);
    }
  }

  /** Starts reading now: events emitted before the first `next()` are kept, too. */
  subscribe(options: SubscribeOptions = {}): AsyncIterableIterator<T> {
    const { signal, capacity = 1024 } = options;
    const queue: T[] = [];
    const waiting: Subscriber<T>["waiting"] = [];
    const finish = () => {
      this.#subscribers.delete(subscriber);
      signal?.removeEventListener("abort", abandon);
      for (const reader of waiting.splice(0)) reader({ done: true, value: undefined });
    };
    const abandon = () => {
      queue.length = 0;
      finish();
    };
    const subscriber: Subscriber<T> = { queue, capacity, waiting, finish };
    if (!this.#closed && !signal?.aborted) {
      this.#subscribers.add(subscriber);
      signal?.addEventListener("abort", abandon, { once: true });
    }

    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: (): Promise<IteratorResult<T>> => {
        if (queue.length > 0) return Promise.resolve({ done: false, value: queue.shift()! });
        if (!this.#subscribers.has(subscriber)) {
          return Promise.resolve({ done: true, value: undefined });
        }
        return new Promise((resolve) => waiting.push(resolve));
      },
      return(): Promise<IteratorResult<T>> {
        abandon();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Lets readers finish what waits for them, then ends their iteration. */
  close(): void {
    this.#closed = true;
    for (const { finish } of this.#subscribers) finish();
  }
}
