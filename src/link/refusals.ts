/** Who was refused where links are accepted, ahead of any link, and why. */

/** Why a connection was refused. */
export type RefusalReason =
  /** Too many others had not proved themselves either. */
  | "crowd"
  /** It did not complete its handshake, or made no call, in time. */
  | "slow"
  /** It showed no certificate of the network, or spoke no TLS at all. */
  | "stranger"
  /** Its certificate counts no more: the key was changed, or it was evicted. */
  | "not-admitted"
  /** It sent what is nothing but work: see `session_guard.ts`. */
  | "flood";

/** What was refused so far, by reason, and where the last one came from. */
export type FrontReport = Record<RefusalReason, { count: number; host: string }>;
