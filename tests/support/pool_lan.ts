/** Pools of links on a network in memory, and peers that send whatever a test wants. */

import { AT_EASE } from "../../src/device/condition.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import type { Clock } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Kind, type Load, type Message, type OutgoingMessage } from "../../src/link/frame.ts";
import { decodeFrame, encodeFrame } from "../../src/link/frame_codec.ts";
import type { FrameStream, LinkTransport } from "../../src/link/frame_stream.ts";
import type { IncomingCall } from "../../src/link/call.ts";
import { LinkPool } from "../../src/link/link_pool.ts";
import { MemoryLinks } from "../../src/link/memory_transport.ts";
import type { LinkEnd, PeerLink } from "../../src/link/peer_link.ts";
import { type NodeDescription, PROTOCOL_VERSION } from "../../src/membership/node_description.ts";
import { MemoryNetwork, type MemoryNetworkConditions } from "../../src/transport/memory_network.ts";

/** Where every {@linkcode PoolNode} accepts links. */
export const LINK_PORT = 5681;

/** What a node of that label says of itself. */
export function descriptionOf(
  nodeId: string,
  change: Partial<NodeDescription> = {},
): NodeDescription {
  return {
    protocol: PROTOCOL_VERSION,
    network: "home",
    nodeId,
    bootId: `BOOT${nodeId.toUpperCase()}`,
    version: "0.1.0",
    listenPort: LINK_PORT,
    capabilities: UNKNOWN_DEVICE,
    models: [],
    labels: [],
    condition: AT_EASE,
    agents: [],
    ...change,
  };
}

/** A pool with what it has told its owner. */
export interface PoolNode {
  readonly pool: LinkPool;
  /** Changes what it says of itself. */
  readonly describe: (change: Partial<NodeDescription>) => void;
  readonly host: string;
  /** `"linked b"`, `"unlinked b lost"`. */
  readonly told: string[];
  readonly ends: LinkEnd[];
  readonly conflicts: string[];
  /** `"b at 10.0.0.2:5681 NAME_CONFLICT"`: who refused it. */
  readonly refusals: string[];
  readonly notices: string[];
  readonly calls: IncomingCall[];
}

/** What may differ from one node to the next. */
export interface PoolNodeOptions {
  readonly description?: Partial<NodeDescription>;
  readonly allows?: (host: string) => boolean;
  readonly onCall?: (call: IncomingCall, link: PeerLink) => void;
  readonly load?: () => Load;
}

/** Pools and raw peers on one network in memory. */
export class PoolLan {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly links: MemoryLinks;

  constructor(conditions: Partial<MemoryNetworkConditions> = {}, seed = 1) {
    this.network = new MemoryNetwork(this.clock, seededRandom(seed), {
      latencyMs: 1,
      ...conditions,
    });
    this.links = new MemoryLinks(this.clock, this.network);
  }

  /** A node at `host` that listens. */
  async add(host: string, nodeId: string, options: PoolNodeOptions = {}): Promise<PoolNode> {
    const node = makePool(nodeId, {
      ...options,
      host,
      transport: this.links.transport(host),
      clock: this.clock,
    });
    await node.pool.listen({ host, port: LINK_PORT });
    return node;
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

  /** Dials from one node to another one, or to a host. */
  dial(from: PoolNode, to: { host: string }): Promise<PeerLink> {
    return this.wait(from.pool.dial([{ host: to.host, port: LINK_PORT }]));
  }

  /** Listens at `host` without being a node; each stream is given to `onPeer`. */
  async listenRaw(host: string, onPeer: (peer: RawPeer) => void): Promise<void> {
    await this.links.transport(host).listen(
      { host, port: LINK_PORT },
      (stream) => onPeer(new RawPeer(stream)),
    );
  }

  /** Dials from `host` without being a node. */
  async dialRaw(host: string, to: { host: string }): Promise<RawPeer> {
    const address = { host: to.host, port: LINK_PORT };
    const { signal } = new AbortController();
    return new RawPeer(await this.wait(this.links.transport(host).dial(address, signal)));
  }
}

/** A pool that keeps what it tells. */
export function makePool(
  nodeId: string,
  { description, allows = () => true, onCall, load, host, transport, clock }: PoolNodeOptions & {
    host: string;
    transport: LinkTransport;
    clock: Clock;
  },
): PoolNode {
  const node: Omit<PoolNode, "pool" | "describe"> = {
    host,
    told: [],
    ends: [],
    conflicts: [],
    refusals: [],
    notices: [],
    calls: [],
  };
  let current = descriptionOf(nodeId, description);
  const describe = (change: Partial<NodeDescription>) => current = { ...current, ...change };
  const pool = new LinkPool({
    transport,
    clock,
    self: () => current,
    load: load ?? (() => ({ running: 0, queued: 0, slots: 1, modelCalls: 0 })),
    allows,
    vouch: () => {},
    expects: () => undefined,
    suspectAfterMs: 3_000,
    handler: {
      onLinked: (link) => node.told.push(`linked ${link.peer.nodeId}`),
      onRelinked() {},
      onOutdated: (link) => node.told.push(`outdated ${link.peer.nodeId}`),
      onUnlinked: (peer, end) => {
        node.told.push(`unlinked ${peer} ${end.type}`);
        node.ends.push(end);
      },
      onCall: (call, link) => {
        node.calls.push(call);
        onCall?.(call, link);
      },
      onNotice: (topic, body, link) => {
        node.notices.push(`${link.peer.nodeId} ${topic} ${new TextDecoder().decode(body)}`);
      },
      onConflict: (peer, from) => node.conflicts.push(`${peer} at ${from}`),
      onRefused: ({ address, peer }, { code }) =>
        node.refusals.push(`${peer?.nodeId ?? "?"} at ${address.host}:${address.port} ${code}`),
    },
  });
  return { ...node, pool, describe };
}

/** One end of a stream with no link on it: polite, hostile, or of another version. */
export class RawPeer {
  readonly stream: FrameStream;
  readonly received: Message[] = [];
  /** How often the other side's end was told. */
  closes = 0;

  constructor(stream: FrameStream) {
    this.stream = stream;
    stream.start({
      onFrame: (frame) => this.received.push(...decodeFrame(frame).messages),
      onDrain() {},
      onClose: () => this.closes++,
    });
  }

  send(...messages: OutgoingMessage[]): void {
    this.stream.send(encodeFrame(messages));
  }

  /** Introduces itself as the node of that label, and takes whoever is on the other side. */
  hello(nodeId: string, change: Partial<NodeDescription> = {}): void {
    this.introduce(nodeId, change);
    // Of a later version's kind: whatever comes from a dialler but a goodbye is a yes.
    this.send({ kind: 99 as Kind });
  }

  /** Says who it is, and not yet whether it wants a link. */
  introduce(nodeId: string, change: Partial<NodeDescription> = {}): void {
    this.send({ kind: Kind.Hello, body: JSON.stringify(descriptionOf(nodeId, change)) });
  }

  /** The messages of one kind that have come so far. */
  of(kind: Kind): Message[] {
    return this.received.filter((message) => message.kind === kind);
  }
}
