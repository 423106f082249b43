/** The threads of a node's network, through its HTTP API. */

import type { DeleteThreadBody, ThreadBody } from "../../gateway/thread_routes.ts";
import type { ThreadSummary } from "../../network/threads/thread.ts";
import type { NodeConnection } from "./connection.ts";

/** See the top of the file. */
export class ThreadClient {
  readonly #node: NodeConnection;

  constructor(node: NodeConnection) {
    this.#node = node;
  }

  /** The threads of its network. */
  list(signal?: AbortSignal): Promise<ThreadSummary[]> {
    return this.#node.answer("threads", signal);
  }

  /**
   * One of them, whole.
   *
   * @throws {NetworkError} `NOT_FOUND` when there is none.
   */
  get(name: string, signal?: AbortSignal): Promise<ThreadBody> {
    return this.#node.answer(`threads?${new URLSearchParams({ name })}`, signal);
  }

  /** Takes one of them away. */
  delete(body: DeleteThreadBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#node.answer("threads/delete", signal, body);
  }
}
