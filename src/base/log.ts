/** The log as rooms see it; where it goes is decided once, by whoever composes the node. */

/** Structured log: a message for people and properties for machines. */
export interface Logger {
  /** What only somebody who looks for a fault wants to know. */
  debug(message: string, properties?: Record<string, unknown>): void;
  /** What happens and is as it should be. */
  info(message: string, properties?: Record<string, unknown>): void;
  /** What is not as it should be and does no harm yet. */
  warn(message: string, properties?: Record<string, unknown>): void;
  /** What failed, or what somebody has to mend. */
  error(message: string, properties?: Record<string, unknown>): void;
}

/** Keeps nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
