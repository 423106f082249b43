/** Which devices failed lately: nobody is sent there for a while, unless nobody else is left. */

import type { Clock } from "../base/clock.ts";

/** So many failures in a row, without a task that went well between them, open a circuit. */
const FAILURES = 3;
/** How long it is open at first; twice as long each time that the device fails again. */
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/** More than one node has links to: those that never come back are forgotten. */
const MOST_KEPT = 1_024;

interface Circuit {
  failures: number;
  /** When the last one was seen. */
  failedAt: number;
  /** Until when it is open; then one task tries. */
  openUntil: number;
  openMs: number;
}

const NO_FAILURE: Circuit = { failures: 0, failedAt: -Infinity, openUntil: 0, openMs: 0 };

/** See the top of the file: a circuit breaker for each device. */
export class Circuits {
  readonly #clock: Clock;
  /** Of those whose last task failed. */
  readonly #circuits = new Map<string, Circuit>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether it is to be asked only when nobody else can. */
  isDoubtful(nodeId: string): boolean {
    const circuit = this.#circuits.get(nodeId);
    return circuit !== undefined && circuit.failures >= FAILURES &&
      this.#clock.now() < circuit.openUntil;
  }

  /** It was chosen: when it is the one that tries after a while, others wait for what comes of it. */
  chosen(nodeId: string): void {
    const circuit = this.#circuits.get(nodeId);
    if (circuit === undefined || circuit.failures < FAILURES) return;
    circuit.openUntil = Math.max(circuit.openUntil, this.#clock.now() + circuit.openMs);
  }

  /**
   * It could not be reached, or was lost.
   *
   * @param sentAt When the task that failed went there: all that were there when something happened
   * to it have failed by that, and count as one.
   */
  failed(nodeId: string, sentAt: number): void {
    const now = this.#clock.now();
    const circuit = this.#circuits.get(nodeId) ?? NO_FAILURE;
    if (sentAt < circuit.failedAt) return;
    const failures = circuit.failures + 1;
    let { openMs, openUntil } = circuit;
    if (failures >= FAILURES) {
      openMs = Math.min(LONGEST_MS, openMs === 0 ? FIRST_MS : 2 * openMs);
      openUntil = now + openMs;
    }
    this.#keep(nodeId, { failures, failedAt: now, openUntil, openMs });
  }

  /** It does not answer while it has tasks: no more are sent there, until one tries. */
  silent(nodeId: string): void {
    const openMs = this.#circuits.get(nodeId)?.openMs || FIRST_MS;
    const now = this.#clock.now();
    this.#keep(nodeId, { failures: FAILURES, failedAt: now, openUntil: now + openMs, openMs });
  }

  /** It answered, whatever it answered, or came anew: what was is of no account. */
  answered(nodeId: string): void {
    this.#circuits.delete(nodeId);
  }

  #keep(nodeId: string, circuit: Circuit): void {
    // The one that failed last comes last.
    this.#circuits.delete(nodeId);
    this.#circuits.set(nodeId, circuit);
    if (this.#circuits.size > MOST_KEPT) {
      this.#circuits.delete(this.#circuits.keys().next().value!);
    }
  }
}
