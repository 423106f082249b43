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
  /** Its label. */
  readonly nodeId: string;
  /** SHA-256 of its public key, in hexadecimal digits. */
  readonly identity: string;
  /** When it was first linked. */
  readonly firstSeen: number;
  /** When it was last linked anew. */
  readonly lastSeen: number;
  /** Where it was linked from, the last first: as many as four addresses. */
  readonly hosts: readonly string[];
  /** The tag of the key that it last had, as far as this node knows; null when it does not. */
  readonly lastTag: string | null;
}

/** What was seen of a node besides who it is. */
export interface Sighting {
  /** Where it is linked from. */
  readonly host?: string;
  /** The tag of a key that it has. */
  readonly tag?: string;
}

/**
 * More devices than one person owns. Beyond it new ones are refused: whoever could push out a label
 * by many others would have it.
 */
const MAX_KNOWN = 4_096;
/** New labels from one host within an hour, as many as it may have links: to fill up takes a day. */
const MAX_NEW_PER_HOST = 128;
const HOUR_MS = 60 * 60 * 1_000;
const MAX_HOSTS = 4;
/** An address, and the interface that it is to be reached by. */
const MAX_HOST_LENGTH = 64;
/** Of one with all that it may have, there are some 600. */
const MAX_BYTES = MAX_KNOWN * 1_024;

const schema: z.ZodType<{ version: number; nodes: KnownNode[] }> = z.object({
  version: z.literal(1),
  nodes: z.array(z.object({
    nodeId: z.string().regex(LABEL_PATTERN),
    identity: identitySchema,
    firstSeen: z.number(),
    lastSeen: z.number(),
    // Files of before have neither.
    hosts: z.array(z.string().max(MAX_HOST_LENGTH)).max(MAX_HOSTS).default([]),
    lastTag: z.string().max(16).nullable().default(null),
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

  /**
   * A node was seen: it has that label from now on.
   *
   * @throws {NetworkError} `NAME_CONFLICT` when another one has it; `RESOURCE_EXHAUSTED` when it is
   * new, and too many are known, or came from its host within an hour.
   */
  remember(nodeId: string, identity: string, { host, tag }: Sighting = {}): void {
    const now = this.#options.clock.wallTime();
    const known = this.#nodes.get(nodeId);
    if (known !== undefined && known.identity !== identity) {
      throw new NetworkError("NAME_CONFLICT", `"${nodeId}" was another device before.`);
    }
    if (known === undefined && this.#nodes.size >= MAX_KNOWN) throw full(nodeId);
    const { firstSeen = now, hosts = [], lastTag = null } = known ?? {};
    // Where it comes from may be known a moment later than that it comes.
    const isNew = hosts.length === 0 && isWithinHour(firstSeen, now);
    const isCounted = known !== undefined && host === undefined;
    if (isNew && !isCounted && this.#newFrom(host, now) >= MAX_NEW_PER_HOST) {
      if (this.#nodes.delete(nodeId)) this.#save();
      throw crowded(nodeId, host);
    }
    this.#nodes.set(nodeId, {
      nodeId,
      identity,
      firstSeen,
      lastSeen: now,
      hosts: withHost(hosts, host),
      lastTag: tag ?? lastTag,
    });
    const isSeenThere = host === undefined || hosts.includes(host);
    if (known === undefined || !isSeenThere || (tag ?? lastTag) !== lastTag) this.#save();
  }

  /** The node with that label and identity, if it is known, has that key by now. */
  noteKey(nodeId: string, identity: string, tag: string): void {
    const known = this.#nodes.get(nodeId);
    if (known?.identity !== identity || known.lastTag === tag) return;
    this.#nodes.set(nodeId, { ...known, lastTag: tag });
    this.#save();
  }

  /** How many labels were seen for the first time within an hour, and there, or nobody knows where. */
  #newFrom(host: string | undefined, now: number): number {
    const nodes = [...this.#nodes.values()];
    return nodes.filter(({ hosts, firstSeen }) =>
      (host === undefined ? hosts.length === 0 : hosts.includes(host)) &&
      isWithinHour(firstSeen, now)
    ).length;
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

/** Also where the clock was set back since. */
function isWithinHour(moment: number, now: number): boolean {
  return Math.abs(now - moment) < HOUR_MS;
}

function withHost(hosts: readonly string[], host: string | undefined): readonly string[] {
  if (host === undefined || host.length > MAX_HOST_LENGTH) return hosts;
  return [host, ...hosts.filter((one) => one !== host)].slice(0, MAX_HOSTS);
}

function full(nodeId: string): NetworkError {
  return new NetworkError(
    "RESOURCE_EXHAUSTED",
    `Cannot talk to "${nodeId}": ${MAX_KNOWN} nodes were seen here, and no more are remembered. ` +
      `Let one go that is gone (hanzo-network key forget NODE), or evict who has made them up: ` +
      `hanzo-network key evict NODE`,
  );
}

function crowded(nodeId: string, host = "somewhere"): NetworkError {
  return new NetworkError(
    "RESOURCE_EXHAUSTED",
    `Cannot talk to "${nodeId}": ${MAX_NEW_PER_HOST} nodes that nobody had seen before have come ` +
      `from ${host} within an hour. Try again in an hour.`,
  );
}
