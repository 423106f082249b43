/**
 * Where connections come in: it takes them one by one, lets nobody in who shows no certificate of
 * the network, and keeps those that have not proved themselves from using up what others need.
 */

import net from "node:net";
import type { Clock } from "../base/clock.ts";
import { isGranted, needGranted } from "../base/permissions.ts";
import type { PeerCredential } from "../security/trust.ts";
import { LastingListener } from "../transport/lasting_listener.ts";
import { type Address, formatAddress, hostOf } from "./frame_stream.ts";
import type { FrontReport, RefusalReason } from "./refusals.ts";
import { type LinkSecurity, TlsGate } from "./tls_gate.ts";

/** What a {@linkcode Front} is made of. */
export interface FrontOptions {
  readonly address: Address;
  readonly clock: Clock;
  /** Undefined: connections are in the clear. */
  readonly security: LinkSecurity | undefined;
  /**
   * Takes a connection that was let in; it counts as proved only with {@linkcode Front.prove}.
   *
   * @param peer What it is called in all that the front is asked and told.
   */
  readonly onConnection: (socket: net.Socket, peer: string) => void;
}

/** Connections that have not proved themselves, at a time. */
const MAX_UNPROVED = 64;
/**
 * Connections of clients that have no link, at a time: existing peers have one each. Whoever has
 * not called for the longest time goes first, and calls again on another one.
 */
const MAX_CLIENTS = 64;
/** Devices that join, at a time. */
const MAX_JOINING = 4;
/** Links from one host: nobody runs so many nodes on one machine. */
const MAX_LINKS_PER_HOST = 128;
/** How long a TLS handshake may take. */
const HANDSHAKE_MS = 2_000;
/** How long until the first call. Existing peers connect first and call then. */
const FIRST_CALL_MS = 10_000;
/** Waiting connections that the system keeps. */
const BACKLOG = 511;

interface Guest {
  readonly socket: net.Socket;
  readonly host: string;
  cancelTimer(): void;
}

/** See the top of the file. */
export class Front {
  readonly #options: FrontOptions;
  readonly #gate: TlsGate | undefined;
  /** By remote host and port, the oldest first. */
  readonly #unproved = new Map<string, Guest>();
  /** The same of those that made a call and have no link, the one that called last at the end. */
  readonly #clients = new Map<string, Guest>();
  readonly #linked = new Map<string, Guest>();
  /** Those that have an invite, the oldest first. */
  readonly #joining = new Map<string, Guest>();
  /** Of every connection, also of one that is over: the same. */
  readonly #keys = new WeakMap<net.Socket, string>();
  /** Of every connection whose end was not seen yet. */
  readonly #live = new Set<string>();
  readonly #credentials = new Map<string, PeerCredential>();
  readonly #refused: FrontReport = {
    crowd: { count: 0, host: "" },
    slow: { count: 0, host: "" },
    stranger: { count: 0, host: "" },
    "not-admitted": { count: 0, host: "" },
    flood: { count: 0, host: "" },
  };
  #listener!: LastingListener;
  #closed = false;

  private constructor(options: FrontOptions) {
    this.#options = options;
    const { security } = options;
    this.#gate = security === undefined ? undefined : new TlsGate(security, {
      onSecure: (socket, peer) => this.#enter(socket, peer),
      onRefused: (reason, socket) => this.refuse(reason, this.#keys.get(socket)),
      onJoining: (socket) => this.#join(this.#keys.get(socket) ?? ""),
    });
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken; `PERMISSION_DENIED`.
   */
  static async listen(options: FrontOptions): Promise<Front> {
    const { address: { host, port }, clock } = options;
    // Where the stack of an error is looked at for the first time when the process has no descriptor
    // left, Deno 2.9.6 panics: it opens a file for that.
    void new Error().stack;
    const target = formatAddress({ host, port });
    if (!isGranted({ name: "net", host: target })) {
      // This port alone would be no use: a node dials others, wherever they are.
      needGranted(`Cannot listen on ${target}`, { name: "net" });
    }
    const front = new Front(options);
    front.#listener = await LastingListener.listen({
      host,
      port,
      backlog: BACKLOG,
      createServer: () => net.createServer((socket) => front.#accept(socket)),
      clock,
      action: "Cannot listen",
      portOption: "--listen-port",
      onStarved: () => front.#shed(),
    });
    return front;
  }

  /** Where it listens, with the port that the system chose. */
  get address(): Address {
    return { host: this.#options.address.host, port: this.#listener.port };
  }

  /** What was refused so far. */
  report(): FrontReport {
    return structuredClone(this.#refused);
  }

  /**
   * Who is on the other side of a connection; undefined in the clear.
   *
   * @param peer Its host and port, as gRPC tells them.
   */
  credentialOf(peer: string): PeerCredential | undefined {
    return this.#credentials.get(peer);
  }

  /**
   * A call came on that connection: it is one of a node, for a link, or of a client.
   *
   * @returns Whether it is to be served.
   */
  prove(peer: string, as: "link" | "client" = "link"): boolean {
    // A connection carries one link.
    if (this.#linked.has(peer)) return as === "client";
    const guest = this.#unproved.get(peer) ?? this.#clients.get(peer);
    if (guest === undefined) return true;
    const { host } = guest;
    this.#forget(peer);
    if (as === "client") {
      this.#clients.set(peer, guest);
      if (this.#clients.size > MAX_CLIENTS) this.refuse("crowd", mostCrowded(this.#clients));
      return true;
    }
    this.#linked.set(peer, guest);
    const links = this.#linked.values().filter((other) => other.host === host);
    if ([...links].length <= MAX_LINKS_PER_HOST) return true;
    this.refuse("crowd", peer);
    return false;
  }

  /** The link on that connection is over; the connection may go on. */
  unlink(peer: string): void {
    const guest = this.#linked.get(peer);
    if (guest === undefined || !this.#linked.delete(peer)) return;
    this.#clients.set(peer, guest);
    this.prove(peer, "client");
  }

  /** Ends a connection, and counts it as refused. */
  refuse(reason: RefusalReason, peer: string | undefined): void {
    if (peer === undefined) return;
    this.#refused[reason].count++;
    this.#refused[reason].host = hostOf(peer);
    // TLS may have ended it already.
    this.#forget(peer)?.socket.destroy();
  }

  /** Stops listening and ends the connections that nobody has taken; idempotent. */
  close(): void {
    this.#closed = true;
    this.#listener.close();
    for (const { socket, cancelTimer } of this.#unproved.values()) {
      cancelTimer();
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    socket.on("error", () => {});
    // Half of a frame must not wait for the other half's acknowledgement.
    socket.setNoDelay(true);
    const key = keyOf(socket);
    if (this.#closed || key === undefined) return void socket.destroy();
    // From one port to two of this node's addresses: gRPC would take them for one connection.
    if (this.#live.has(key)) return void socket.destroy();
    this.#live.add(key);
    this.#keys.set(socket, key);
    this.#unproved.set(key, {
      socket,
      host: hostOf(key),
      cancelTimer: this.#expire(key, this.#gate === undefined ? FIRST_CALL_MS : HANDSHAKE_MS),
    });
    socket.once("close", () => {
      this.#live.delete(key);
      this.#credentials.delete(key);
      this.#forget(key);
    });
    if (this.#unproved.size > MAX_UNPROVED) this.refuse("crowd", mostCrowded(this.#unproved));
    if (this.#gate === undefined) this.#options.onConnection(socket, key);
    else {
      try {
        this.#gate.take(socket);
      } catch {
        // Credentials that TLS cannot use: that ends a connection, and not the process.
        socket.destroy();
      }
    }
  }

  /** The handshake is done, and the certificate is one of the network's. */
  #enter(socket: net.Socket, peer: PeerCredential | undefined): void {
    const key = keyOf(socket);
    const entry = key === undefined ? undefined : this.#unproved.get(key);
    if (key === undefined || entry === undefined) return void socket.destroy();
    entry.cancelTimer();
    entry.cancelTimer = this.#expire(key, FIRST_CALL_MS);
    if (peer !== undefined) this.#credentials.set(key, peer);
    this.#options.onConnection(socket, key);
  }

  /** It has an invite; whoever serves it ends it in time. */
  #join(key: string): void {
    const guest = this.#forget(key);
    if (guest === undefined) return;
    this.#joining.set(key, guest);
    if (this.#joining.size > MAX_JOINING) this.refuse("crowd", mostCrowded(this.#joining));
  }

  #expire(key: string, afterMs: number): () => void {
    return this.#options.clock.after(afterMs, () => this.refuse("slow", key));
  }

  #forget(key: string): Guest | undefined {
    let guest: Guest | undefined;
    for (const guests of [this.#unproved, this.#clients, this.#linked, this.#joining]) {
      guest ??= guests.get(key);
      guests.delete(key);
    }
    guest?.cancelTimer();
    return guest;
  }

  /** Lets go of everybody who has no link: links and all other business need the descriptors. */
  #shed(): void {
    for (const peer of [...this.#unproved.keys(), ...this.#clients.keys()]) {
      this.refuse("crowd", peer);
    }
  }
}

/** The oldest of the host that has the most: one that floods hits itself first. */
function mostCrowded(guests: ReadonlyMap<string, Guest>): string | undefined {
  const counts = new Map<string, number>();
  for (const { host } of guests.values()) counts.set(host, (counts.get(host) ?? 0) + 1);
  const most = Math.max(...counts.values());
  for (const [key, { host }] of guests) if (counts.get(host) === most) return key;
  return undefined;
}

/** As gRPC names the other side of a connection. */
function keyOf({ remoteAddress, remotePort }: net.Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress}:${remotePort}`;
}
