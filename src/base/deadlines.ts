/** Many deadlines that hardly ever come: a timer of the system for each would cost more than a task. */

import type { CancelTimer, Clock } from "./clock.ts";

/** Something whose time may be up. */
export interface Expiring {
  /** It is. */
  expire(): void;
}

/** The time of something. */
export class Deadline {
  readonly at: number;
  expiring: Expiring | undefined;

  constructor(at: number, expiring: Expiring) {
    this.at = at;
    this.expiring = expiring;
  }
}

/** Cancelled ones that may be kept beside as many that count. */
const MOST_CANCELLED = 1_024;

/** See the top of the file. It keeps a timer for the earliest one only. */
export class Deadlines {
  readonly #clock: Clock;
  /** A binary heap, the earliest first; who is cancelled stays until it is in the way. */
  #heap: Deadline[] = [];
  #cancelled = 0;
  #armedFor = Infinity;
  #disarm: CancelTimer = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many it keeps, those that were cancelled included. */
  get size(): number {
    return this.#heap.length;
  }

  /** As {@linkcode Clock.after}. */
  after(delayMs: number, callback: () => void): CancelTimer {
    const deadline = this.at(this.#clock.now() + delayMs, { expire: callback });
    return () => this.cancel(deadline);
  }

  /**
   * Lets `expiring` expire at a moment of the clock, unless that is {@linkcode cancel}led.
   *
   * Objects and no functions: V8 takes a function that waits here for one that lasts, and then all
   * that it holds outlives young garbage collections.
   */
  at(moment: number, expiring: Expiring): Deadline {
    const deadline = new Deadline(moment, expiring);
    push(this.#heap, deadline);
    if (moment < this.#armedFor) this.#arm();
    return deadline;
  }

  /** Takes it back; nothing when it has come, or was taken back. */
  cancel(deadline: Deadline): void {
    if (deadline.expiring === undefined) return;
    deadline.expiring = undefined;
    this.#cancelled++;
    if (this.#cancelled > MOST_CANCELLED && 2 * this.#cancelled > this.#heap.length) this.#tidy();
    // A timer that nothing waits for would keep the process.
    if (this.#cancelled === this.#heap.length) this.#clear();
  }

  #arm(): void {
    this.#disarm();
    const [first] = this.#heap;
    this.#armedFor = first.at;
    // A process that was stopped finds it long past, and timers warn of less than nothing.
    const delayMs = Math.max(0, first.at - this.#clock.now());
    this.#disarm = this.#clock.after(delayMs, () => this.#ring());
  }

  #ring(): void {
    this.#armedFor = Infinity;
    const now = this.#clock.now();
    while (this.#heap.length > 0) {
      const [first] = this.#heap;
      const { expiring } = first;
      // The system's timers may ring a little early.
      if (expiring !== undefined && first.at > now + 0.5) break;
      pop(this.#heap);
      if (expiring === undefined) this.#cancelled--;
      else {
        first.expiring = undefined;
        expiring.expire();
      }
    }
    if (this.#heap.length > 0) this.#arm();
  }

  #tidy(): void {
    const kept = this.#heap.filter(({ expiring }) => expiring !== undefined);
    this.#heap = [];
    for (const one of kept) push(this.#heap, one);
    this.#cancelled = 0;
  }

  #clear(): void {
    this.#heap = [];
    this.#cancelled = 0;
    this.#armedFor = Infinity;
    this.#disarm();
  }
}

function push(heap: Deadline[], deadline: Deadline): void {
  let place = heap.push(deadline) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (heap[parent].at <= deadline.at) break;
    heap[place] = heap[parent];
    place = parent;
  }
  heap[place] = deadline;
}

function pop(heap: Deadline[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1].at < heap[child].at) child++;
    if (last.at <= heap[child].at) break;
    heap[place] = heap[child];
    place = child;
  }
  heap[place] = last;
}
