/** How the HTTP server fares, for people who ask why a client was turned away. */

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";

/** What a client is to the server. */
export type Standing =
  /** It has not shown yet that it may use the API. */
  | "stranger"
  /** It has, and has no request under way. */
  | "idle"
  /** It waits for an answer, or is given one. */
  | "answering";

/** Why a connection was closed, or a request not answered. */
export type RefusalReason =
  /** Too many others had not shown either that they may use the API. */
  | "crowd"
  /** A head or a body did not come in time. */
  | "slow"
  /** It is no HTTP/1.1, or more of it than is taken. */
  | "malformed"
  /** It lacks the token, or comes from a foreign page, or in a form that is not taken. */
  | "not-admitted"
  /** Too many others were being answered. */
  | "busy"
  /** The system gave no connection: the process has no file descriptors left. */
  | "starved";

/** What has happened since the server began to listen. */
export interface HttpReport {
  /** Connections that are open now. */
  readonly open: Readonly<Record<Standing, number>>;
  /** Requests that were answered. */
  readonly answered: number;
  /** Those that were not, and connections that were closed to make room. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

const SAID_EVERY_MS = 60_000;

const SAID: Record<RefusalReason, string> = {
  crowd: "too many others had not shown the token either",
  slow: "the request did not come in time",
  malformed: "what came was no HTTP/1.1, or too much of it",
  "not-admitted": "no token, a foreign page or host, or no JSON",
  busy: "too many others were being answered",
  starved: "no file descriptors were left",
};

/** Counts refusals, and logs those of one kind at most once a minute. */
export class RefusalCounts {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #counts: Record<RefusalReason, number> = {
    crowd: 0,
    slow: 0,
    malformed: 0,
    "not-admitted": 0,
    busy: 0,
    starved: 0,
  };
  /** When it was logged the last time, and how many there were then. */
  readonly #said = new Map<RefusalReason, { at: number; count: number }>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** One more. */
  add(reason: RefusalReason): void {
    const count = ++this.#counts[reason];
    const now = this.#clock.now();
    const last = this.#said.get(reason);
    if (last !== undefined && now - last.at < SAID_EVERY_MS) return;
    this.#said.set(reason, { at: now, count });
    this.#logger.warn("The API turned clients away ({count}): {why}", {
      count: count - (last?.count ?? 0),
      why: SAID[reason],
      reason,
    });
  }

  /** All there were, by reason. */
  all(): Record<RefusalReason, number> {
    return { ...this.#counts };
  }
}
