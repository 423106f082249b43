/** Datagrams that were not used: counted by reason, and told of now and then. */

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Dropped, DropReason } from "./udp_report.ts";

/** A host is told of once in so long, and so many hosts are: a flood comes from any number. */
const LOG_EVERY_MS = 60_000;
const MAX_LOGGED = 16;

/** What somebody does on purpose; the rest happens where others live, too. */
const SUSPICIOUS: ReadonlySet<DropReason> = new Set(["forged", "relocated", "rate"]);

/** See the top of the file. */
export class DroppedDatagrams {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #byReason: Record<DropReason, { count: number; host: string }> = {
    malformed: { count: 0, host: "" },
    rate: { count: 0, host: "" },
    crowd: { count: 0, host: "" },
    "foreign-network": { count: 0, host: "" },
    "foreign-key": { count: 0, host: "" },
    sealed: { count: 0, host: "" },
    plaintext: { count: 0, host: "" },
    forged: { count: 0, host: "" },
    relocated: { count: 0, host: "" },
    replayed: { count: 0, host: "" },
    "not-allowed": { count: 0, host: "" },
  };
  /** The hosts that were told of since `#since`; what is harmless takes no line from a warning. */
  readonly #told = { warn: new Set<string>(), debug: new Set<string>() };
  #since = -Infinity;

  constructor({ clock, logger }: { clock: Clock; logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** One more from `host`. */
  add(reason: DropReason, host: string): void {
    const one = this.#byReason[reason];
    one.count++;
    one.host = host;
    this.#log(reason, host);
  }

  /** All so far. */
  report(): Record<DropReason, Dropped> {
    return structuredClone(this.#byReason);
  }

  #log(reason: DropReason, host: string): void {
    const now = this.#clock.now();
    if (now - this.#since >= LOG_EVERY_MS) {
      this.#told.warn.clear();
      this.#told.debug.clear();
      this.#since = now;
    }
    const level = SUSPICIOUS.has(reason) ? "warn" : "debug";
    const told = this.#told[level];
    if (told.size >= MAX_LOGGED || told.has(host)) return;
    told.add(host);
    this.#logger[level](
      "Datagrams from {host} are not used: {reason}. More: hanzo-network doctor",
      {
        host,
        reason,
      },
    );
  }
}
