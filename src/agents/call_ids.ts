/** The ids by which the calls of one run are told apart: of its tools, and of other agents. */

/** What a model or a program may call one itself: it goes on to other nodes, and into logs. */
const CALL_ID = /^[!-~]{1,64}$/;
/** Of the ids of others so many are kept to be compared; then calls get own ones only. */
const MAX_KEPT = 10_000;

/** Whether `id` can be that of a call. */
export function isCallId(id: unknown): id is string {
  return typeof id === "string" && CALL_ID.test(id);
}

/** Gives each call of one run an id of its own. */
export class CallIds {
  readonly #prefix: string;
  readonly #given = new Set<string>();
  #made = 0;

  /** @param attempt Which attempt at its task the run is: the ids of the others are told already. */
  constructor(attempt = 1) {
    this.#prefix = attempt > 1 ? `call_${attempt}_` : "call_";
  }

  /** The wanted one where it can be one and no other call has it; else an own one. */
  next(wanted?: unknown): string {
    const mayKeep = this.#given.size < MAX_KEPT;
    if (mayKeep && isCallId(wanted) && !this.#given.has(wanted) && !this.#isMade(wanted)) {
      this.#given.add(wanted);
      return wanted;
    }
    let id: string;
    do id = `${this.#prefix}${++this.#made}`; while (this.#given.has(id));
    return id;
  }

  #isMade(id: string): boolean {
    if (!id.startsWith(this.#prefix)) return false;
    const number = Number(id.slice(this.#prefix.length));
    return number >= 1 && number <= this.#made;
  }
}
