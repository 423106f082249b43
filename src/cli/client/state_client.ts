/** The shared state of a node's network, through its HTTP API. */

import type {
  AddBody,
  AppendBody,
  DeleteBody,
  SetBody,
  StateChangeLine,
  StateEntry,
} from "../../gateway/state_routes.ts";
import type { Imported, ImportOptions } from "../../state/state_import.ts";
import { LONG_ANSWER_TIMEOUT_MS, type NodeConnection } from "./connection.ts";

/** See the top of the file. */
export class StateClient {
  readonly #node: NodeConnection;

  constructor(node: NodeConnection) {
    this.#node = node;
  }

  /** What the shared state holds under keys that begin so. */
  entries(prefix: string, signal?: AbortSignal): Promise<StateEntry[]> {
    const path = `state?${new URLSearchParams({ prefix })}`;
    return this.#node.answer(path, signal, undefined, LONG_ANSWER_TIMEOUT_MS);
  }

  /**
   * What the shared state holds under a key.
   *
   * @throws {NetworkError} `NOT_FOUND` when it is nothing.
   */
  entry(key: string, signal?: AbortSignal): Promise<StateEntry> {
    return this.#node.answer(`state?${new URLSearchParams({ key })}`, signal);
  }

  /** Gives a key of the shared state a value. */
  set(body: SetBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#node.answer("state/set", signal, body);
  }

  /** Takes a key of the shared state away. */
  delete(body: DeleteBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#node.answer("state/delete", signal, body);
  }

  /** Adds to a number of the shared state. */
  add(body: AddBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#node.answer("state/add", signal, body);
  }

  /** Appends to a list of the shared state. */
  append(body: AppendBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#node.answer("state/append", signal, body);
  }

  /** All of the shared state as one document. */
  export(signal?: AbortSignal): Promise<string> {
    return this.#node.text("state/export", signal);
  }

  /** Writes what such a document holds. */
  import(
    document: string,
    { replace, dryRun }: ImportOptions,
    signal?: AbortSignal,
  ): Promise<Imported> {
    const query = new URLSearchParams({
      ...(replace && { replace: "" }),
      ...(dryRun && { "dry-run": "" }),
    });
    return this.#node.answer(`state/import?${query}`, signal, document, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Changes of the keys that begin so, from now on; the first line says that it has begun. */
  async *watch(
    prefix: string,
    signal?: AbortSignal,
  ): AsyncGenerator<StateChangeLine | undefined, void, void> {
    const path = `state/watch?${new URLSearchParams({ prefix })}`;
    for await (const line of this.#node.lines(path, signal)) {
      yield line === "" ? undefined : JSON.parse(line) as StateChangeLine;
    }
  }
}
