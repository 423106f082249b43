/** The one error that crosses a room's wall: a code to act on, a sentence to read. */

/**
 * What went wrong, as a caller may act on it.
 *
 * - `INVALID_ARGUMENT`: the caller's input; repeating it cannot help.
 * - `NOT_FOUND`: no such agent, node, key or file.
 * - `UNAVAILABLE`: a peer cannot be reached now; work was not started there.
 * - `RESOURCE_EXHAUSTED`: a bound was hit (queue full, message too large).
 * - `DEADLINE_EXCEEDED`: the time allowed ran out.
 * - `CANCELLED`: the caller gave up.
 * - `UNKNOWN_OUTCOME`: work was started, and whether it finished cannot be known.
 * - `NAME_CONFLICT`: two nodes claim one label.
 * - `PERMISSION_DENIED`: the runtime, the system or a peer said no.
 * - `PORT_IN_USE`: a port that was asked for explicitly is taken.
 * - `FAILED_PRECONDITION`: not in this state (not started, already stopped).
 * - `AGENT_FAILED`: the agent's own code threw.
 * - `PROTOCOL`: a peer sent what the protocol does not allow.
 * - `INTERNAL`: a fault of this program.
 */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "UNAVAILABLE"
  | "RESOURCE_EXHAUSTED"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "UNKNOWN_OUTCOME"
  | "NAME_CONFLICT"
  | "PERMISSION_DENIED"
  | "PORT_IN_USE"
  | "FAILED_PRECONDITION"
  | "AGENT_FAILED"
  | "PROTOCOL"
  | "INTERNAL";

/** Every {@linkcode ErrorCode}, in the order of their numbers on the wire. */
export const ERROR_CODES: readonly ErrorCode[] = [
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "UNKNOWN_OUTCOME",
  "NAME_CONFLICT",
  "PERMISSION_DENIED",
  "PORT_IN_USE",
  "FAILED_PRECONDITION",
  "AGENT_FAILED",
  "PROTOCOL",
  "INTERNAL",
];

/** What may accompany a {@linkcode NetworkError}. */
export interface NetworkErrorOptions {
  /** The error underneath, kept for logs. */
  cause?: unknown;
  /** When a refusal may be repeated, in milliseconds from now. */
  retryAfterMs?: number;
  /** Whether nobody answered at all, as where a firewall drops what comes in. */
  unanswered?: boolean;
}

/**
 * The error that every public function of this package throws.
 *
 * Its message begins with the action, names the cause and ends with the mend.
 *
 * @example Acting on a code
 * ```ts
 * import { NetworkError } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new NetworkError("NOT_FOUND", 'Cannot run agent "x": no node has it.');
 * assertEquals(error.code, "NOT_FOUND");
 * ```
 */
export class NetworkError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** When a refusal may be repeated, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Whether nobody answered at all, as where a firewall drops what comes in. */
  readonly unanswered?: boolean;

  /**
   * Makes an error.
   *
   * @param code What went wrong, for programs.
   * @param message What went wrong and how to mend it, for people.
   * @param options The cause, when to try again, and whether anybody answered.
   */
  constructor(code: ErrorCode, message: string, options: NetworkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NetworkError";
    this.code = code;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.unanswered !== undefined) this.unanswered = options.unanswered;
  }

  /**
   * Makes a `NetworkError` of whatever was thrown; one that is already is returned as it is.
   *
   * @param thrown The value that was caught.
   * @param code The code for a value that carries none.
   * @param action What was being done, for the beginning of the message.
   */
  static from(thrown: unknown, code: ErrorCode = "INTERNAL", action?: string): NetworkError {
    if (thrown instanceof NetworkError) return thrown;
    const reason = describeError(thrown);
    return new NetworkError(code, action === undefined ? reason : `${action}: ${reason}`, {
      cause: thrown,
    });
  }
}

/** The message of whatever was thrown, in one line, without a stack. */
export function describeError(thrown: unknown): string {
  const lines = textOf(thrown).split(/[\r\n\u2028\u2029]/).map((line) => line.trim());
  return lines.filter((line) => line !== "").join(" ");
}

/** An agent may throw anything, even what cannot be made a text. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message || thrown.name : thrown);
  } catch {
    return `a value of the type ${typeof thrown}`;
  }
}
