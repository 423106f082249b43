/**
 * Nodes with network keys on links in memory, with time that only the test moves. What TLS does on
 * real links is done here by its rule: the dialler tries its credentials, the newest first, and the
 * first under which each admits the other is used.
 *
 * @module
 */

import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { FrameStream, LinkTransport } from "../../src/link/frame_stream.ts";
import { LinkPool } from "../../src/link/link_pool.ts";
import { MemoryLinks } from "../../src/link/memory_transport.ts";
import { KeyExchange, KEYRING_TOPIC } from "../../src/network/key_exchange.ts";
import type { NodeIdentity } from "../../src/security/identity.ts";
import { KeyedTrust } from "../../src/security/keyed_trust.ts";
import { type Keyring, newKeyring } from "../../src/security/keyring.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import type { PeerCredential } from "../../src/security/trust.ts";
import { MemoryNetwork } from "../../src/transport/memory_network.ts";
import { descriptionOf, LINK_PORT } from "./pool_lan.ts";
import { recordingLogger } from "./recording_logger.ts";

/** A node of a {@linkcode KeyLan}. */
export interface KeyNode {
  readonly nodeId: string;
  readonly host: string;
  /** What it is known by: 64 hexadecimal digits. */
  readonly identity: string;
  readonly trust: KeyedTrust;
  readonly pool: LinkPool;
  /** What became of its links: `"linked b"`, `"unlinked b lost"`. */
  readonly told: string[];
  readonly warnings: string[];
}

/** How a node is not like the others. */
export interface KeyNodeOptions {
  /** By default that of the LAN. */
  readonly ring?: Keyring;
  /** By default one of its own. */
  readonly identity?: string;
}

/** See the top of the file. */
export class KeyLan implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly links: MemoryLinks;
  /** What every node begins with unless it is told otherwise. */
  readonly ring: Keyring = newKeyring("home");
  readonly nodes: KeyNode[] = [];
  /** How often somebody was dialled so far. */
  dialled = 0;
  /** What the acceptor has agreed to, for the dialler, by their hosts. */
  readonly #agreed = new Map<string, (string | undefined)[]>();

  constructor(seed = 1) {
    this.network = new MemoryNetwork(this.clock, seededRandom(seed), { latencyMs: 1, jitterMs: 3 });
    this.links = new MemoryLinks(this.clock, this.network);
  }

  /** Nodes of these labels, each linked with each. */
  static async of(labels: string, seed?: number): Promise<KeyLan> {
    const lan = new KeyLan(seed);
    for (const label of labels) await lan.add(label);
    await lan.meet();
    return lan;
  }

  /** A node that listens, and knows nobody yet. */
  async add(nodeId: string, options: KeyNodeOptions = {}): Promise<KeyNode> {
    const number = this.nodes.length + 1;
    const { identity = number.toString(16).padStart(64, "0"), ring = this.ring } = options;
    const { clock } = this;
    const { logger, lines } = recordingLogger();
    const host = `10.0.0.${number}`;
    const trust = await KeyedTrust.open({
      nodeId,
      identity: unsigned(identity),
      known: await KnownNodes.open({ path: undefined, clock, logger }),
      ring,
      file: undefined,
      clock,
      logger,
    });
    const told: string[] = [];
    const pool = new LinkPool({
      transport: this.#transport(host),
      clock,
      self: () => descriptionOf(nodeId, { bootId: `BOOT${number}` }),
      load: () => ({ running: 0, queued: 0, slots: 1, modelCalls: 0 }),
      allows: () => true,
      vouch: (id, peer, host) => exchange.vouch(id, peer, host),
      expects: (peer) => trust.expects(peer),
      suspectAfterMs: 3_000,
      handler: {
        onLinked: (link) => {
          told.push(`linked ${link.peer.nodeId}`);
          exchange.linked(link);
        },
        onRelinked() {},
        onOutdated() {},
        onUnlinked: (peer, { type }) => told.push(`unlinked ${peer} ${type}`),
        onCall() {},
        onNotice: (topic, body, link) => {
          if (topic === KEYRING_TOPIC) void exchange.took(body, link);
        },
        onConflict: (peer) => told.push(`conflict ${peer}`),
        onRefused() {},
      },
    });
    const exchange = new KeyExchange({ trust, pool, clock, logger });
    const node = { nodeId, host, identity, trust, pool, told, warnings: lines("warn") };
    this.nodes.push(node);
    trust.start(() => exchange.changed());
    await pool.listen({ host, port: LINK_PORT });
    return node;
  }

  /** The last node that was added with that label. */
  node(nodeId: string): KeyNode {
    return this.nodes.findLast((node) => node.nodeId === nodeId)!;
  }

  /** Moves time on until `promise` settles. */
  async wait<T>(promise: Promise<T>, withinMs = 20_000): Promise<T> {
    let settled = false;
    const done = () => settled = true;
    promise.then(done, done);
    for (let waited = 0; !settled && waited < withinMs; waited += 5) await this.clock.advance(5);
    if (!settled) throw new Error(`The promise did not settle within ${withinMs} simulated ms.`);
    return await promise;
  }

  /** Dials, and says whether there is a link then. */
  async dials(from: KeyNode, to: KeyNode): Promise<boolean> {
    try {
      await this.wait(from.pool.dial([{ host: to.host, port: LINK_PORT }]));
    } catch (thrown) {
      if (!(thrown instanceof NetworkError)) throw thrown;
      return false;
    }
    await this.clock.advance(20);
    return true;
  }

  /** Each that has no link with another one dials it, and what they then hand each other arrives. */
  async meet(nodes: readonly KeyNode[] = this.nodes): Promise<void> {
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to || from.pool.get(to.nodeId) !== undefined) continue;
        if (this.network.reaches(from.host, to.host)) await this.dials(from, to);
      }
    }
    await this.clock.advance(200);
  }

  /** Cuts the links between two groups, as when a cable is cut for a long time. */
  async part(some: readonly KeyNode[], others: readonly KeyNode[]): Promise<void> {
    this.network.partition(some.map(({ host }) => host), others.map(({ host }) => host));
    for (const one of some) {
      for (const other of others) {
        one.pool.drop(other.nodeId);
        other.pool.drop(one.nodeId);
      }
    }
    await this.clock.advance(20);
  }

  /** Puts one out; all others are kept by their labels, since here nobody was seen a day ago. */
  async evict(by: KeyNode, nodeId: string): Promise<void> {
    const labels = by.trust.known.list().map((one) => one.nodeId);
    await by.trust.evict([nodeId], { keep: labels.filter((one) => one !== nodeId) });
  }

  /** The tag of the newest key of each. */
  newest(nodes: readonly KeyNode[] = this.nodes): string[] {
    return nodes.map(({ trust }) => trust.ring.keys[0].key.tag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { trust, pool } of this.nodes) {
      await this.wait(pool.close());
      await trust.stop();
    }
  }

  #transport(host: string): LinkTransport {
    const inner = this.links.transport(host);
    return {
      measure: (...args) => inner.measure(...args),
      dial: async (address, signal) => {
        this.dialled++;
        const stream = await inner.dial(address, signal);
        const tag = this.#agreed.get(`${host}>${address.host}`)!.shift();
        if (tag !== undefined) return this.#withCredential(stream, tag);
        drop(stream);
        throw new NetworkError("UNAVAILABLE", `Cannot reach ${address.host}: it broke off.`);
      },
      listen: (address, accept) =>
        inner.listen(address, (stream) => {
          const tag = this.#agree(this.#at(stream.remoteHost), this.#at(host));
          const way = `${stream.remoteHost}>${host}`;
          this.#agreed.getOrInsertComputed(way, () => []).push(tag);
          if (tag === undefined) drop(stream);
          else accept(this.#withCredential(stream, tag));
        }),
    };
  }

  #at(host: string): KeyNode {
    return this.nodes.find((node) => node.host === host)!;
  }

  #agree(dialler: KeyNode, acceptor: KeyNode): string | undefined {
    const offered = new Set(acceptor.trust.credentials().map(({ tag }) => tag));
    return dialler.trust.credentials().map(({ tag }) => tag).find((tag) =>
      offered.has(tag) && dialler.trust.admits(credentialOf(acceptor, tag)) &&
      acceptor.trust.admits(credentialOf(dialler, tag))
    );
  }

  #withCredential(stream: FrameStream, tag: string): FrameStream {
    return {
      remoteHost: stream.remoteHost,
      credential: credentialOf(this.#at(stream.remoteHost), tag),
      start: (handler) => stream.start(handler),
      send: (frame) => stream.send(frame),
      close: () => stream.close(),
      reset: () => stream.reset(),
    };
  }
}

function credentialOf({ nodeId, identity }: KeyNode, tag: string): PeerCredential {
  return { identity, names: [nodeId], tag };
}

function drop(stream: FrameStream): void {
  stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
  stream.reset();
}

/** An identity that signs nothing: here nobody looks at certificates, and time is the test's. */
function unsigned(id: string): NodeIdentity {
  const identity: Pick<NodeIdentity, "id" | "credentials" | "retain"> = {
    id,
    credentials: ({ tag }) =>
      Promise.resolve({ tag, serverName: tag, authority: "", certificate: "", privateKey: "" }),
    retain: () => Promise.resolve(),
  };
  return identity as NodeIdentity;
}
