/** What ran an agent for its node is gone. */

import { NetworkError } from "../base/errors.ts";

/**
 * The program that ran the agent was lost, and nobody knows how far it had come: like a device that
 * was lost. An agent that is idempotent is run again elsewhere.
 */
export class AgentLost extends NetworkError {
  /** @param message What was lost, and what helps. */
  constructor(message: string, cause: unknown) {
    super("UNKNOWN_OUTCOME", message, { cause });
  }
}
