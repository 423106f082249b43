/** What has changed, for those who subscribe to it. */

import type { JsonValue } from "../base/bounded_json.ts";
import { EventBus, type SubscribeOptions } from "../base/event_bus.ts";
import type { StateChange } from "./shared_state.ts";

/** What becomes of a key by what somebody else has written. */
interface Incoming {
  readonly previous: JsonValue | undefined;
  value?: JsonValue;
  nodeId: string;
  isConcurrent: boolean;
}

/** See the top of the file. What nobody subscribes to it does not read. */
export class ChangeFeed {
  readonly #read: (key: string) => JsonValue | undefined;
  /** By prefix: what others write elsewhere takes no room of a reader. */
  readonly #buses = new Map<string, EventBus<StateChange>>();
  #isClosed = false;
  /** Keys that were written here, as they were before. */
  readonly #touched = new Map<string, JsonValue | undefined>();
  /** Keys that others have written, as long as it may still be undone. */
  readonly #incoming = new Map<string, Incoming>();

  /** @param read What a key shows now. */
  constructor(read: (key: string) => JsonValue | undefined) {
    this.#read = read;
  }

  /** Changes of keys with that prefix, from now on. */
  subscribe(prefix: string, options: SubscribeOptions): AsyncIterableIterator<StateChange> {
    for (const [one, { isRead }] of this.#buses) if (!isRead) this.#buses.delete(one);
    let bus = this.#buses.get(prefix);
    if (bus === undefined) {
      bus = new EventBus<StateChange>();
      if (this.#isClosed) bus.close();
      else this.#buses.set(prefix, bus);
    }
    return bus.subscribe(options);
  }

  /** A key is about to be written here. @returns Whether it is the first time since the last told. */
  touch(key: string): boolean {
    if (!this.#isRead(key) || this.#touched.has(key)) return false;
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
      this.#emit({ key, value: this.#read(key), previous, nodeId, isConcurrent: false });
    }
    this.#touched.clear();
  }

  /** A key is about to change by what somebody else has written. */
  before(key: string): void {
    if (this.#incoming.has(key) || !this.#isRead(key)) return;
    this.#incoming.set(key, { previous: this.#read(key), nodeId: "", isConcurrent: false });
  }

  /** A row of it has changed; of what was written together there are several. */
  after({ key, nodeId, isConcurrent }: Omit<StateChange, "value" | "previous">): void {
    const incoming = this.#incoming.get(key);
    if (incoming === undefined) return;
    incoming.nodeId = nodeId;
    incoming.isConcurrent ||= isConcurrent;
  }

  /** All that was written together is there: what its keys show now is what is told. */
  settle(): void {
    for (const [key, incoming] of this.#incoming) incoming.value = this.#read(key);
  }

  /** What others have written counts, or is undone. */
  end(counts: boolean): void {
    const all = [...this.#incoming];
    this.#incoming.clear();
    if (!counts) return;
    for (const [key, { value, previous, nodeId, isConcurrent }] of all) {
      this.#emit({ key, value, previous, nodeId, isConcurrent });
    }
  }

  /** Ends all subscriptions. */
  close(): void {
    this.#isClosed = true;
    for (const bus of this.#buses.values()) bus.close();
    this.#buses.clear();
  }

  #isRead(key: string): boolean {
    for (const [prefix, bus] of this.#buses) {
      if (bus.isRead && key.startsWith(prefix)) return true;
    }
    return false;
  }

  #emit(change: StateChange): void {
    for (const [prefix, bus] of this.#buses) if (change.key.startsWith(prefix)) bus.emit(change);
  }
}
