/**
 * The error of a failed assertion.
 *
 * @module
 */

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";

  /**
   * @param message What does not hold.
   * @param options The cause, if another error led to it.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** How the caller's own words end a message. */
export function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}
