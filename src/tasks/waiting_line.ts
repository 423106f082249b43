/** Tasks that wait for a slot: by priority, and in turns between those who have sent them. */

/** What a caller wants of its place in the line. */
export type Priority = "high" | "normal" | "low";

/** Somebody who waits. */
export interface Waiter {
  /** Who has sent it: the label of a node, or whatever else tells callers apart. */
  readonly caller: string;
  readonly priority: Priority;
}

/** The first that wait come first, but of so many in a row the last is one that waits behind them. */
/** All of them, the one that goes first first. */
export const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];
const TURNS = 8;

/** Of one priority: the callers in turn, each with what it has sent, in order. */
type Turns<W> = Map<string, W[]>;

/** See the top of the file. */
export class WaitingLine<W extends Waiter> {
  readonly #turns = new Map<Priority, Turns<W>>(
    PRIORITIES.map((priority) => [priority, new Map()]),
  );
  #length = 0;
  #taken = 0;

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  /** All that wait, in no order. */
  *[Symbol.iterator](): Generator<W> {
    for (const turns of this.#turns.values()) for (const waiters of turns.values()) yield* waiters;
  }

  /** Puts somebody at the end of its caller's own line. */
  add(waiter: W): void {
    const turns = this.#turns.get(waiter.priority)!;
    const waiters = turns.get(waiter.caller);
    if (waiters === undefined) turns.set(waiter.caller, [waiter]);
    else waiters.push(waiter);
    this.#length++;
  }

  /** Takes out whose turn it is. */
  next(): W | undefined {
    if (this.#length === 0) return undefined;
    const waiting = PRIORITIES.filter((priority) => this.#turns.get(priority)!.size > 0);
    const turns = this.#turns.get(waiting[this.#whoseTurn(waiting.length)])!;
    const [[caller, waiters]] = turns;
    const waiter = waiters.shift()!;
    // Its caller goes to the end.
    turns.delete(caller);
    if (waiters.length > 0) turns.set(caller, waiters);
    this.#length--;
    return waiter;
  }

  /**
   * Nobody waits for ever behind those who keep coming: now and then it is the turn of those behind
   * the first, one priority after the other.
   */
  #whoseTurn(priorities: number): number {
    const round = Math.floor(++this.#taken / TURNS);
    if (this.#taken % TURNS !== 0 || priorities === 1) return 0;
    return 1 + round % (priorities - 1);
  }

  /** Takes somebody out; nothing when it does not wait. */
  remove(waiter: W): void {
    const turns = this.#turns.get(waiter.priority)!;
    const waiters = turns.get(waiter.caller);
    const at = waiters?.indexOf(waiter) ?? -1;
    if (waiters === undefined || at < 0) return;
    waiters.splice(at, 1);
    if (waiters.length === 0) turns.delete(waiter.caller);
    this.#length--;
  }

  /**
   * Who has to make room for a newcomer when the line is full: the last of a lower priority, else
   * the last of a caller that has at least two more waiting than the newcomer's; undefined when the
   * newcomer itself has to go.
   */
  displacedBy({ caller, priority }: Waiter): W | undefined {
    const rank = PRIORITIES.indexOf(priority);
    for (const lower of PRIORITIES.slice(rank + 1).reverse()) {
      const most = longest(this.#turns.get(lower)!);
      if (most !== undefined) return most.at(-1);
    }
    const turns = this.#turns.get(priority)!;
    const most = longest(turns);
    const own = turns.get(caller)?.length ?? 0;
    return most !== undefined && most.length >= own + 2 ? most.at(-1) : undefined;
  }
}

function longest<W>(turns: Turns<W>): W[] | undefined {
  let most: W[] | undefined;
  for (const waiters of turns.values()) {
    if (most === undefined || waiters.length > most.length) most = waiters;
  }
  return most;
}
