/** The links of this node: at most one in use per peer, whoever dialled it. */

import { type Clock, doneWithin } from "../base/clock.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { withTimeLimit } from "../base/time_limit.ts";
import type { PeerCredential } from "../security/trust.ts";
import { type NodeDescription, parseNodeDescription } from "../membership/node_description.ts";
import type { FrontReport } from "./refusals.ts";
import { dialAny } from "./dial_any.ts";
import type { Body, Load } from "./frame.ts";
import {
  type Address,
  formatAddress,
  type FrameListener,
  type FrameStream,
} from "./frame_stream.ts";
import type { LinkTransport } from "./frame_stream.ts";
import type { IncomingCall } from "./call.ts";
import { type LinkEnd, PeerLink } from "./peer_link.ts";

/** What a pool tells its owner. */
export interface LinkPoolHandler {
  /** A peer that had no link has one. */
  onLinked(link: PeerLink): void;
  /** A peer that had a link has another one. */
  onRelinked(nodeId: string): void;
  /** What this node says of itself has changed since it introduced itself on a link that opens now. */
  onOutdated(link: PeerLink): void;
  /** A peer's last link is gone. */
  onUnlinked(nodeId: string, end: LinkEnd): void;
  onCall(call: IncomingCall, link: PeerLink): void;
  onNotice(topic: string, body: Uint8Array, link: PeerLink): void;
  /** A peer claims the label of another one, or this node's own, and was refused. */
  onConflict(nodeId: string, remoteHost: string, bootId: string): void;
  /** A peer refuses this node, and says why. */
  onRefused(by: Refuser, error: NetworkError): void;
}

/** Who refuses this node. */
export interface Refuser {
  /** Where it accepts links. */
  readonly address: Address;
  /** Who it is, where it has said so: it dialled this node, which would have taken it. */
  readonly peer: NodeDescription | undefined;
}

/** What a pool is made of. */
export interface LinkPoolOptions {
  readonly transport: LinkTransport;
  readonly clock: Clock;
  /** This node as it describes itself now. */
  readonly self: () => NodeDescription;
  readonly load: () => Load;
  /** Whether a node at `host` may be talked to at all. */
  readonly allows: (host: string) => boolean;
  /**
   * Checks that a peer is the one that it says it is.
   *
   * @throws {NetworkError} `NAME_CONFLICT` when another one has its label; `PERMISSION_DENIED`.
   */
  readonly vouch: (
    nodeId: string,
    credential: PeerCredential | undefined,
    host: string,
  ) => void;
  /**
   * The label under which a peer with this certificate will be vouched for; undefined where only
   * what it says of itself can tell.
   */
  readonly expects: (credential: PeerCredential) => string | undefined;
  /** Silence after which a link no longer defends its peer's label against another claim. */
  readonly suspectAfterMs: number;
  readonly handler: LinkPoolHandler;
}

/** How long dialling may take. A LAN answers in milliseconds; a cut cable never does. */
const DIAL_TIMEOUT_MS = 3_000;
/** How long a peer may take to hear a goodbye; one that is cut off never does. */
const GOODBYE_TIMEOUT_MS = 1_000;

/** Refusals that stand until something changes; not that this node is slow, or has dialled itself. */
const DECISIONS: ReadonlySet<ErrorCode> = new Set([
  "NAME_CONFLICT",
  "PERMISSION_DENIED",
  "PROTOCOL",
]);

/** See the top of the file. */
export class LinkPool {
  readonly #options: LinkPoolOptions;
  /** Links by peer, the newest first. */
  readonly #links = new Map<string, PeerLink[]>();
  readonly #greeting = new Set<PeerLink>();
  /** Settle when what is being dialled is open or has let go of everything. */
  readonly #dialling = new Set<Promise<void>>();
  /** Aborts when the pool closes: dials that are under way then are given up. */
  readonly #closing = new AbortController();
  #listener: FrameListener | undefined;

  constructor(options: LinkPoolOptions) {
    this.#options = options;
  }

  /**
   * Accepts links at `address`.
   *
   * @returns Where it listens, with the port that the system chose.
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken.
   */
  async listen(address: Address): Promise<Address> {
    this.#listener = await this.#options.transport.listen(address, (stream) => {
      if (this.#closing.signal.aborted || !this.#options.allows(stream.remoteHost)) {
        return stream.close();
      }
      this.#open(stream);
    });
    return this.#listener.address;
  }

  /**
   * Opens a link at the first address that answers, and resolves when both sides have introduced
   * themselves.
   *
   * @param addresses Of one node, the best first; at least one.
   * @param signal Gives up what is under way.
   * @throws {NetworkError} `UNAVAILABLE` when nobody answers, with `refused` in the message only
   * when every address refuses; or whatever the other side refused the link with.
   */
  dial(
    addresses: readonly Address[],
    signal: AbortSignal = new AbortController().signal,
  ): Promise<PeerLink> {
    const { clock } = this.#options;
    return dialAny(addresses, (address, signal) => {
      const dialling = this.#dial(address, signal);
      const settled = dialling.then(() => {}, () => {}).finally(() =>
        this.#dialling.delete(settled)
      );
      this.#dialling.add(settled);
      return dialling;
    }, { clock, signal });
  }

  async #dial(address: Address, given: AbortSignal): Promise<PeerLink> {
    if (!this.#options.allows(address.host)) {
      throw notAllowed(address);
    }
    const timeout = new AbortController();
    const cancel = this.#options.clock.after(
      DIAL_TIMEOUT_MS,
      () => timeout.abort(noAnswer(address)),
    );
    const signal = AbortSignal.any([timeout.signal, this.#closing.signal, given]);
    let stream: FrameStream;
    try {
      stream = await this.#options.transport.dial(address, signal);
    } finally {
      cancel();
    }
    if (signal.aborted) {
      stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
      stream.reset();
      throw signal.reason;
    }
    return await new Promise<PeerLink>((resolve, reject) => {
      this.#open(stream, { address, resolve, reject });
    });
  }

  /** The link to use for a new call to `nodeId`. */
  get(nodeId: string): PeerLink | undefined {
    return this.#links.get(nodeId)?.find(({ state }) => state === "open");
  }

  /**
   * Measures the way to an address.
   *
   * @returns The round trip in milliseconds.
   * @throws {NetworkError} `UNAVAILABLE` when nobody answers.
   */
  async measure(address: Address): Promise<number> {
    const { clock, transport, allows } = this.#options;
    if (!allows(address.host)) throw notAllowed(address);
    const error = () => noAnswer(address);
    return await withTimeLimit(
      { clock, limitMs: DIAL_TIMEOUT_MS, error, signal: this.#closing.signal },
      (signal) => transport.measure(address, signal),
    );
  }

  /** The peers that can be called now. */
  linked(): string[] {
    return [...this.#links.keys()].filter((nodeId) => this.get(nodeId) !== undefined);
  }

  /** Sends a one-way message to every peer. */
  notifyAll(topic: string, body: Body): void {
    for (const nodeId of this.#links.keys()) this.get(nodeId)?.notify(topic, body);
  }

  /** All links that are open, or were and still have calls. */
  links(): PeerLink[] {
    return [...this.#links.values()].flat();
  }

  /** What was refused where links are accepted, ahead of any link. */
  refused(): FrontReport | undefined {
    return this.#listener?.report?.();
  }

  /** Closes the links to `nodeId` without a word. */
  drop(nodeId: string): void {
    for (const link of [...this.#links.get(nodeId) ?? []]) link.close();
  }

  /** Says goodbye to every peer and stops listening; idempotent. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(stopping());
    for (const link of this.#greeting) link.close();
    const links = this.links();
    const goodbyes = links.map((link) => link.leave());
    const ends = Promise.all([...goodbyes, ...this.#dialling]);
    await doneWithin(this.#options.clock, GOODBYE_TIMEOUT_MS, ends);
    for (const link of links) link.close();
    await this.#listener?.close();
  }

  /** @param dial Of a link that this side opens. */
  #open(
    stream: FrameStream,
    dial?: { address: Address; resolve(link: PeerLink): void; reject(error: NetworkError): void },
  ): void {
    const { clock, self, load, handler } = this.#options;
    let introduced: NodeDescription | undefined;
    const link = new PeerLink({
      stream,
      dialled: dial !== undefined,
      takes: dial !== undefined && this.#takes(stream),
      clock,
      load,
      introduction: () => {
        introduced = self();
        return JSON.stringify({ ...introduced, wallTime: clock.wallTime() });
      },
      admit: (description) => this.#admit(parseNodeDescription(description), stream),
      onOpen: (link) => {
        this.#greeting.delete(link);
        this.#add(link);
        // While a link opens nobody is told of changes on it.
        if (introduced !== self() && link.state !== "closed") handler.onOutdated(link);
        dial?.resolve(link);
      },
      onCall: handler.onCall,
      onNotice: handler.onNotice,
      onClose: (end, link) => {
        this.#greeting.delete(link);
        dial?.reject("error" in end ? end.error : stopping());
        if (end.type === "refused" && end.byPeer) this.#refused(link, dial?.address, end.error);
        this.#remove(link, end);
      },
    });
    if (link.state === "greeting") this.#greeting.add(link);
  }

  /** Whether it is clear that the node at the other end will be taken, before it says who it is. */
  #takes({ credential }: FrameStream): boolean {
    const nodeId = credential && this.#options.expects(credential);
    return nodeId !== undefined && nodeId !== this.#options.self().nodeId &&
      // With a link its boot id matters, too.
      this.#claims(nodeId).length === 0;
  }

  /** Takes or refuses who wants to be linked. */
  #admit(peer: NodeDescription, { remoteHost, credential }: FrameStream): NodeDescription {
    const self = this.#options.self();
    if (peer.network !== self.network) {
      throw new NetworkError(
        "PERMISSION_DENIED",
        `This is a node of the network "${self.network}", not of "${peer.network}". Start both ` +
          `with the same --name.`,
      );
    }
    const conflict = () => {
      this.#options.handler.onConflict(peer.nodeId, remoteHost, peer.bootId);
      return new NetworkError(
        "NAME_CONFLICT",
        `Another node is called "${peer.nodeId}" already. Start this one with another --node-id.`,
      );
    };
    if (peer.nodeId === self.nodeId) {
      if (peer.bootId !== self.bootId) throw conflict();
      throw new NetworkError("FAILED_PRECONDITION", "This node dialled itself.");
    }
    // Not earlier: who is vouched for is remembered under that label.
    this.#vouch(peer, remoteHost, credential);
    const defended = this.#claims(peer.nodeId).some((link) =>
      // Of two the one that was started first has the label: a boot id tells the time.
      link.state !== "closed" && link.peer.bootId < peer.bootId &&
      this.#options.clock.now() - link.lastHeard < this.#options.suspectAfterMs
    );
    if (defended) throw conflict();
    for (const other of this.#greeting) {
      if (!other.hasAdmitted || other.peer.nodeId !== peer.nodeId) continue;
      if (other.peer.bootId > peer.bootId) other.close();
    }
    return peer;
  }

  /** Who says that it is another one is told to the owner, as one that claims a taken label. */
  #vouch(peer: NodeDescription, remoteHost: string, credential: PeerCredential | undefined): void {
    try {
      this.#options.vouch(peer.nodeId, credential, remoteHost);
    } catch (thrown) {
      if (thrown instanceof NetworkError && thrown.code === "NAME_CONFLICT") {
        this.#options.handler.onConflict(peer.nodeId, remoteHost, peer.bootId);
      }
      throw thrown;
    }
  }

  /** The links of those who are called that, also where they have not said yet that they want one. */
  #claims(nodeId: string): PeerLink[] {
    const greeting = [...this.#greeting].filter((link) =>
      link.hasAdmitted && link.peer.nodeId === nodeId
    );
    return [...this.#links.get(nodeId) ?? [], ...greeting];
  }

  #add(link: PeerLink): void {
    const { nodeId, bootId } = link.peer;
    const others = (this.#links.get(nodeId) ?? []).filter((other) => {
      if (other.peer.bootId === bootId) return true;
      // Of an earlier start of the peer, which is over.
      other.close();
      return false;
    });
    // The newest first: it is known to work now.
    this.#links.set(nodeId, [link, ...others]);
    if (others.length === 0) this.#options.handler.onLinked(link);
    else {
      this.#settle(nodeId);
      this.#options.handler.onRelinked(nodeId);
    }
  }

  /**
   * Retires the links that a better one makes superfluous, once that one has shown that it lives.
   * The best is what the node with the smaller id dialled; of two from one dialler, the newer as
   * that one sees it. Here the two may have opened in the other order, so it alone decides.
   */
  #settle(nodeId: string): void {
    const { nodeId: self } = this.#options.self();
    const bySmaller = ({ dialled }: PeerLink) => dialled === (self < nodeId);
    const open = this.#links.get(nodeId)!.filter(({ state }) => state === "open");
    const best = open.find(bySmaller) ?? open[0];
    if (open.length < 2) return;
    void best.ping().then(() => {
      if (best.state !== "open") return;
      const links = this.#links.get(nodeId) ?? [];
      for (const [i, other] of links.entries()) {
        const isWorse = best.dialled === other.dialled
          ? best.dialled && i > links.indexOf(best)
          : bySmaller(best);
        if (isWorse) other.retire();
        // Who has lost it without a word shows that now.
        else if (other !== best) void other.ping();
      }
    });
  }

  #refused(link: PeerLink, dialled: Address | undefined, error: NetworkError): void {
    if (!DECISIONS.has(error.code)) return;
    const peer = link.hasAdmitted ? link.peer : undefined;
    const address = dialled ?? (peer && { host: link.remoteHost, port: peer.listenPort });
    if (address !== undefined) this.#options.handler.onRefused({ address, peer }, error);
  }

  #remove(link: PeerLink, end: LinkEnd): void {
    for (const [nodeId, links] of this.#links) {
      if (!links.includes(link)) continue;
      const others = links.filter((other) => other !== link);
      if (others.length > 0) {
        this.#links.set(nodeId, others);
        // A goodbye is said by the node, not by one of its links.
        if (end.type === "goodbye") { for (const other of others) other.close(); }
        else this.#settle(nodeId);
      } else {
        this.#links.delete(nodeId);
        this.#options.handler.onUnlinked(nodeId, end);
      }
      return;
    }
  }
}

function notAllowed(address: Address): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot dial ${formatAddress(address)}: outside what this node may talk to.`,
  );
}

function noAnswer(address: Address): NetworkError {
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot reach ${formatAddress(address)}: no answer within ${DIAL_TIMEOUT_MS} ms. ` +
      `Is it on, and does its firewall let the port through?`,
    { unanswered: true },
  );
}

function stopping(): NetworkError {
  return new NetworkError("CANCELLED", "Cannot dial: the node is stopping.");
}
