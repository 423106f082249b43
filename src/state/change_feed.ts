/** What has changed, for those who subscribe to it. */

import type { JsonValue } from "../base/bounded_json.ts";
import { EventBus, type SubscribeOptions } from "../base/event_bus.ts";
import type { StateChange } from "./shared_state.ts";

/** See the top of the file. While nobody subscribes it reads nothing. */
export class ChangeFeed {
  readonly #read: (key: string) => JsonValue | undefined;
  readonly #bus = new EventBus<StateChange>();
  /** Keys that were written here, as they were before. */
  readonly #touched = new Map<string, JsonValue | undefined>();
  /** What others have written, as long as it may still be undone. */
  #pending: StateChange[] = [];
  #previous: JsonValue | undefined;

  /** @param read What a key shows now. */
  constructor(read: (key: string) => JsonValue | undefined) {
    this.#read = read;
  }

  /** Changes of keys with that prefix, from now on. */
  subscribe(prefix: string, options: SubscribeOptions): AsyncIterableIterator<StateChange> {
    const all = this.#bus.subscribe(options);
    return {
      async next() {
        for (;;) {
          const result = await all.next();
          if (result.done || result.value.key.startsWith(prefix)) return result;
        }
      },
      return: () => all.return!(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** A key is about to be written here. @returns Whether it is the first time since the last told. */
  touch(key: string): boolean {
    if (!this.#bus.isRead || this.#touched.has(key)) return false;
    this.#touched.set(key, this.#read(key));
    return true;
  }

  /** These were not written after all. */
  untouch(keys: Iterable<string> = [...this.#touched.keys()]): void {
    for (const key of keys) this.#touched.delete(key);
  }

  /** What was written here counts. */
  tellOwn(nodeId: string): void {
    for (const [key, previous] of this.#touched) {
      this.#bus.emit({ key, value: this.#read(key), previous, nodeId, isConcurrent: false });
    }
    this.#touched.clear();
  }

  /** A key is about to change by what somebody else has written. */
  before(key: string): void {
    if (this.#bus.isRead) this.#previous = this.#read(key);
  }

  /** It has changed. */
  after(change: Pick<StateChange, "key" | "nodeId" | "isConcurrent">): void {
    if (!this.#bus.isRead) return;
    const value = this.#read(change.key);
    this.#pending.push({ ...change, value, previous: this.#previous });
  }

  /** What others have written counts, or is undone. */
  end(counts: boolean): void {
    const changes = this.#pending;
    this.#pending = [];
    if (counts) { for (const change of changes) this.#bus.emit(change); }
  }

  /** Ends all subscriptions. */
  close(): void {
    this.#bus.close();
  }
}
