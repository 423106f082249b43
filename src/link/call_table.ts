/** The calls of one side that are open on a link, by number. */

/** More than are usually open at a time; a power of two. */
const SLOTS = 1_024;

/**
 * Like a `Map` by numbers that count up in steps of two. In a table of fixed size, because a `Map` of
 * which members come and go all the time keeps the young garbage collector busy (see
 * `base/roster.ts`); what finds its place taken by a call that lasts goes to a map.
 */
export class CallTable<T> {
  readonly #ids: number[] = [];
  readonly #calls: (T | undefined)[] = [];
  readonly #others = new Map<number, T>();
  #size = 0;

  /** How many are open. */
  get size(): number {
    return this.#size;
  }

  /** Takes in a call whose number is not in it. */
  set(id: number, call: T): void {
    this.#size++;
    const slot = slotOf(id);
    if (this.#calls[slot] !== undefined) {
      this.#others.set(id, call);
      return;
    }
    this.#ids[slot] = id;
    this.#calls[slot] = call;
  }

  get(id: number): T | undefined {
    const slot = slotOf(id);
    if (this.#ids[slot] === id && this.#calls[slot] !== undefined) return this.#calls[slot];
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  /** Takes it out, and returns it. */
  take(id: number): T | undefined {
    const call = this.get(id);
    if (call === undefined) return undefined;
    this.#size--;
    const slot = slotOf(id);
    if (this.#ids[slot] === id) this.#calls[slot] = undefined;
    else this.#others.delete(id);
    return call;
  }

  /** All of them, with their numbers, and the table is empty. */
  takeAll(): [id: number, call: T][] {
    const all: [number, T][] = [...this.#others];
    this.#calls.forEach((call, slot) => {
      if (call !== undefined) all.push([this.#ids[slot], call]);
    });
    this.#calls.length = 0;
    this.#others.clear();
    this.#size = 0;
    return all;
  }
}

function slotOf(id: number): number {
  return (id / 2) & (SLOTS - 1);
}
