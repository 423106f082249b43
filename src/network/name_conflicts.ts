/** Labels that two nodes claim: the later one is refused, and shown. */

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { NameConflict } from "./status.ts";

/** Refused claims that are kept for the status. */
const MAX_CONFLICTS = 16;
/** How long one is shown after the last claim by a beacon: four of them and some. */
const CONFLICT_FOR_MS = 12_000;
/** The same by a link: who was refused tries again within half a minute. */
const REFUSED_FOR_MS = 45_000;

/** What {@linkcode NameConflicts} is made of. */
export interface NameConflictsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The label of this node. */
  readonly nodeId: string;
  /** Its boot id, which tells the time of its start. */
  readonly bootId: () => string;
}

/** See the top of the file. */
export class NameConflicts {
  readonly #options: NameConflictsOptions;
  readonly #conflicts: (NameConflict & { until: number })[] = [];

  constructor(options: NameConflictsOptions) {
    this.#options = options;
  }

  /** A beacon from `host` claims the label of this node. */
  claimed(host: string, bootId: string): void {
    this.#note(this.#options.nodeId, host, bootId, CONFLICT_FOR_MS);
  }

  /** Who claims the label over a link was refused. */
  refused(nodeId: string, host: string, bootId: string): void {
    this.#note(nodeId, host, bootId, REFUSED_FOR_MS);
  }

  /** It was refused only while an earlier start of it still seemed to live. */
  settled(nodeId: string, host: string): void {
    const at = this.#conflicts.findIndex((one) => one.nodeId === nodeId && one.host === host);
    if (at >= 0) this.#conflicts.splice(at, 1);
  }

  /** Those that are to be shown now. */
  current(): NameConflict[] {
    const now = this.#options.clock.now();
    return this.#conflicts.filter(({ until }) => now < until)
      .map(({ nodeId, host, isOlder }) => ({ nodeId, host, isOlder }));
  }

  #note(id: string, host: string, bootId: string, shownForMs: number): void {
    const { clock, logger, nodeId } = this.#options;
    const until = clock.now() + shownForMs;
    const known = this.#conflicts.find((one) => one.nodeId === id && one.host === host);
    if (known !== undefined) {
      known.until = Math.max(known.until, until);
      return;
    }
    const isOlder = id === nodeId && bootId < this.#options.bootId();
    logger.error(
      isOlder
        ? 'Another node, at {host}, has been "{nodeId}" for longer: others will refuse this one. ' +
          "Start it with another --node-id"
        : 'A second node, at {host}, calls itself "{nodeId}" and is refused',
      { nodeId: id, host },
    );
    if (this.#conflicts.push({ nodeId: id, host, isOlder, until }) > MAX_CONFLICTS) {
      this.#conflicts.shift();
    }
  }
}
