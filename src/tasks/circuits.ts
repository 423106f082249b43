/** Which devices failed lately: nobody is sent there for a while, unless nobody else is left. */

import type { Clock } from "../base/clock.ts";

/** So many failures in a row, without a task that went well, open a circuit. */
const FAILURES = 3;
/** How long it is open at first; twice as long each time that the device fails again. */
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

interface Circuit {
  failures: number;
  /** Until when it is open; then one task tries. */
  openUntil: number;
  openMs: number;
}

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

  /** It could not be reached, or was lost. */
  failed(nodeId: string): void {
    const circuit = this.#circuits.get(nodeId) ?? { failures: 0, openUntil: 0, openMs: 0 };
    circuit.failures++;
    if (circuit.failures >= FAILURES) {
      circuit.openMs = Math.min(LONGEST_MS, circuit.openMs === 0 ? FIRST_MS : 2 * circuit.openMs);
      circuit.openUntil = this.#clock.now() + circuit.openMs;
    }
    this.#circuits.set(nodeId, circuit);
  }

  /** It does not answer while it has tasks: no more are sent there, until one tries. */
  silent(nodeId: string): void {
    const openMs = this.#circuits.get(nodeId)?.openMs || FIRST_MS;
    const openUntil = this.#clock.now() + openMs;
    this.#circuits.set(nodeId, { failures: FAILURES, openUntil, openMs });
  }

  /** It answered, whatever it answered, or came anew: what was is of no account. */
  answered(nodeId: string): void {
    this.#circuits.delete(nodeId);
  }
}
