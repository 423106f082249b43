/** What a node keeps of the shared state, through its HTTP API. */

import type { CheckpointBody } from "../../gateway/state_routes.ts";
import type { Checkpoint, Restored } from "../../state/checkpoints.ts";
import { LONG_ANSWER_TIMEOUT_MS, type NodeConnection } from "./connection.ts";

/** See the top of the file. */
export class CheckpointClient {
  readonly #node: NodeConnection;

  constructor(node: NodeConnection) {
    this.#node = node;
  }

  /** What was kept of the shared state. */
  list(signal?: AbortSignal): Promise<Checkpoint[]> {
    return this.#node.answer("checkpoints", signal);
  }

  /** Keeps the shared state as it is. */
  save(body: CheckpointBody, signal?: AbortSignal): Promise<Checkpoint> {
    return this.#node.answer("checkpoints/save", signal, body, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Brings the shared state back as it was. */
  restore(body: CheckpointBody, signal?: AbortSignal): Promise<Restored> {
    return this.#node.answer("checkpoints/restore", signal, body, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Removes what was kept. */
  delete(body: CheckpointBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#node.answer("checkpoints/delete", signal, body);
  }
}
