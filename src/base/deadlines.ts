/** Many deadlines that hardly ever come: a timer of the system for each would cost more than a task. */

import type { CancelTimer, Clock } from "./clock.ts";

interface Deadline {
  readonly at: number;
  callback: (() => void) | undefined;
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
    return this.at(this.#clock.now() + delayMs, callback);
  }

  /** The same, for a moment of the clock. */
  at(moment: number, callback: () => void): CancelTimer {
    const deadline: Deadline = { at: moment, callback };
    push(this.#heap, deadline);
    if (deadline.at < this.#armedFor) this.#arm();
    return () => {
      if (deadline.callback === undefined) return;
      deadline.callback = undefined;
      this.#cancelled++;
      if (this.#cancelled > MOST_CANCELLED && 2 * this.#cancelled > this.#heap.length) this.#tidy();
      // A timer that nothing waits for would keep the process.
      if (this.#cancelled === this.#heap.length) this.#clear();
    };
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
      const { callback } = first;
      // The system's timers may ring a little early.
      if (callback !== undefined && first.at > now + 0.5) break;
      pop(this.#heap);
      if (callback === undefined) this.#cancelled--;
      else {
        first.callback = undefined;
        callback();
      }
    }
    if (this.#heap.length > 0) this.#arm();
  }

  #tidy(): void {
    const kept = this.#heap.filter(({ callback }) => callback !== undefined);
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
