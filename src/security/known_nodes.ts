/** Who was seen under which label: the first identity has it, on this node and for good. */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { readPrivate, writePrivate } from "../base/private_file.ts";
import { LABEL_PATTERN } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";
import { identitySchema } from "./keyring.ts";

/** One node that was seen. Times are in milliseconds since 1970. */
export interface KnownNode {
  readonly nodeId: string;
  /** SHA-256 of its public key, in hexadecimal digits. */
  readonly identity: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Beyond it the one that was not seen for the longest time is forgotten. */
const MAX_KNOWN = 4_096;
const MAX_BYTES = 2 * 1024 * 1024;

const schema: z.ZodType<{ version: number; nodes: KnownNode[] }> = z.object({
  version: z.literal(1),
  nodes: z.array(z.object({
    nodeId: z.string().regex(LABEL_PATTERN),
    identity: identitySchema,
    firstSeen: z.number(),
    lastSeen: z.number(),
  })).max(MAX_KNOWN),
});

/** What {@linkcode KnownNodes} stands on. */
export interface KnownNodesOptions {
  /** Where they are kept; without it they are forgotten with the process. */
  readonly path: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** See the top of the file. */
export class KnownNodes {
  readonly #options: KnownNodesOptions;
  readonly #nodes: Map<string, KnownNode>;
  /** The last write: they follow one another. */
  #written: Promise<void> = Promise.resolve();
  /** Whether a write is to begin, which will have all that is known by then. */
  #isDue = false;

  private constructor(options: KnownNodesOptions, nodes: readonly KnownNode[]) {
    this.#options = options;
    this.#nodes = new Map(nodes.map((one) => [one.nodeId, one]));
  }

  /**
   * Reads them.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when the file is damaged: to begin anew would
   * believe whoever comes first.
   */
  static async open(options: KnownNodesOptions): Promise<KnownNodes> {
    const { path } = options;
    const kept = path === undefined ? undefined : await readPrivate(path);
    if (kept === undefined) return new KnownNodes(options, []);
    try {
      const value = parseBoundedJson(new TextEncoder().encode(kept.text), {
        maxBytes: MAX_BYTES,
        maxDepth: 4,
      });
      const { nodes } = parseWith(schema, value, "PROTOCOL", "It is none");
      return new KnownNodes(options, nodes);
    } catch (cause) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot read the known nodes from ${path}: the file is damaged. Restore it, or remove it: ` +
          `the next device that comes with a label then has it.`,
        { cause },
      );
    }
  }

  /** Who has the label; undefined when nobody was seen with it. */
  identityOf(nodeId: string): string | undefined {
    return this.#nodes.get(nodeId)?.identity;
  }

  /** All of them, in the order of their labels. */
  list(): KnownNode[] {
    return [...this.#nodes.values()].sort((a, b) => a.nodeId < b.nodeId ? -1 : 1);
  }

  /** A node was seen whose label is free, or its own. */
  remember(nodeId: string, identity: string): void {
    const now = this.#options.clock.wallTime();
    const known = this.#nodes.get(nodeId);
    this.#nodes.delete(nodeId);
    this.#nodes.set(nodeId, {
      nodeId,
      identity,
      firstSeen: known?.firstSeen ?? now,
      lastSeen: now,
    });
    // In the order in which they were last seen.
    if (this.#nodes.size > MAX_KNOWN) this.#nodes.delete(this.#nodes.keys().next().value!);
    if (known === undefined) this.#save();
  }

  /** The label is free again; says whether it was taken. */
  async forget(nodeId: string): Promise<boolean> {
    if (!this.#nodes.delete(nodeId)) return false;
    this.#save();
    await this.#written;
    return true;
  }

  /** Resolves when everything is on the disk. */
  async close(): Promise<void> {
    if (this.#nodes.size > 0) this.#save();
    await this.#written;
  }

  #save(): void {
    const { path, logger } = this.#options;
    if (path === undefined || this.#isDue) return;
    this.#isDue = true;
    this.#written = this.#written.then(async () => {
      this.#isDue = false;
      try {
        await writePrivate(path, JSON.stringify({ version: 1, nodes: [...this.#nodes.values()] }));
      } catch (thrown) {
        logger.warn("Known nodes are not kept: {reason}", { reason: describeError(thrown) });
      }
    });
  }
}
