/** Events from one source to any number of readers, none of which can hold it up. */

/** How a reader wants its events. */
export interface SubscribeOptions {
  /** Ends the iteration, without an error. */
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
  wake: (() => void) | undefined;
  closed: boolean;
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

  /** Gives `event` to every reader; returns at once. After {@linkcode close} it does nothing. */
  emit(event: T): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.queue.length >= subscriber.capacity) subscriber.queue.shift();
      subscriber.queue.push(event);
      subscriber.wake?.();
    }
  }

  /** Starts reading now: events emitted before the first `next()` are kept, too. */
  subscribe(options: SubscribeOptions = {}): AsyncIterableIterator<T> {
    const subscriber: Subscriber<T> = {
      queue: [],
      capacity: options.capacity ?? 1024,
      wake: undefined,
      closed: this.#closed,
    };
    if (!this.#closed) this.#subscribers.add(subscriber);
    const finish = () => {
      subscriber.closed = true;
      this.#subscribers.delete(subscriber);
      options.signal?.removeEventListener("abort", finish);
      subscriber.wake?.();
    };
    if (options.signal?.aborted) finish();
    else options.signal?.addEventListener("abort", finish, { once: true });

    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next(): Promise<IteratorResult<T>> {
        while (subscriber.queue.length === 0) {
          if (subscriber.closed) return { done: true, value: undefined };
          await new Promise<void>((resolve) => subscriber.wake = resolve);
          subscriber.wake = undefined;
        }
        return { done: false, value: subscriber.queue.shift()! };
      },
      return(): Promise<IteratorResult<T>> {
        subscriber.queue.length = 0;
        finish();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Lets readers finish what waits for them, then ends their iteration. */
  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) {
      subscriber.closed = true;
      subscriber.wake?.();
    }
    this.#subscribers.clear();
  }
}
