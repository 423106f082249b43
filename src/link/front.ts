/**
 * Where connections come in: it takes them one by one, lets nobody in who shows no certificate of
 * the network, and keeps those that have not proved themselves from using up what others need.
 */

import net from "node:net";
import { type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { PeerCredential } from "../security/trust.ts";
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
/** Links from one host: nobody runs so many nodes on one machine. */
const MAX_LINKS_PER_HOST = 128;
/** How long a TLS handshake may take. */
const HANDSHAKE_MS = 2_000;
/** How long until the first call. Existing peers connect first and call then. */
const FIRST_CALL_MS = 10_000;
/** Between two looks whether connections still come in. */
const WATCH_MS = 2_000;
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
  /** Of every connection, also of one that is over: the same. */
  readonly #keys = new WeakMap<net.Socket, string>();
  readonly #credentials = new Map<string, PeerCredential>();
  readonly #refused: FrontReport = {
    crowd: { count: 0, host: "" },
    slow: { count: 0, host: "" },
    stranger: { count: 0, host: "" },
    "not-admitted": { count: 0, host: "" },
    flood: { count: 0, host: "" },
  };
  #server: net.Server;
  #port: number;
  #cancelWatch = () => {};
  /** Ends the look whether connections come in, if there is one. */
  #endLook: ((cameIn: boolean) => void) | undefined;
  #closed = false;

  private constructor(options: FrontOptions, server: net.Server, port: number) {
    this.#options = options;
    this.#server = server;
    this.#port = port;
    const { security } = options;
    this.#gate = security === undefined ? undefined : new TlsGate(security, {
      onSecure: (socket, peer) => this.#enter(socket, peer),
      onRefused: (reason, socket) => this.refuse(reason, this.#keys.get(socket)),
      onJoining: (socket) => this.#forget(this.#keys.get(socket) ?? ""),
    });
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken; `PERMISSION_DENIED`.
   */
  static async listen(options: FrontOptions): Promise<Front> {
    const { address, clock } = options;
    // Where the stack of an error is looked at for the first time when the process has no descriptor
    // left, Deno 2.9.6 panics: it opens a file for that.
    void new Error().stack;
    const { server, port } = await listen(address, (socket) => front.#accept(socket));
    const front = new Front(options, server, port);
    front.#cancelWatch = every(clock, WATCH_MS, () => void front.#watch());
    return front;
  }

  /** Where it listens, with the port that the system chose. */
  get address(): Address {
    return { host: this.#options.address.host, port: this.#port };
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
    this.#cancelWatch();
    this.#endLook?.(true);
    this.#server.close();
    for (const { socket, cancelTimer } of this.#unproved.values()) {
      cancelTimer();
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    this.#endLook?.(true);
    socket.on("error", () => {});
    // Half of a frame must not wait for the other half's acknowledgement.
    socket.setNoDelay(true);
    const key = keyOf(socket);
    if (this.#closed || key === undefined) return void socket.destroy();
    this.#keys.set(socket, key);
    this.#unproved.set(key, {
      socket,
      host: hostOf(key),
      cancelTimer: this.#expire(key, this.#gate === undefined ? FIRST_CALL_MS : HANDSHAKE_MS),
    });
    socket.once("close", () => {
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

  #expire(key: string, afterMs: number): () => void {
    return this.#options.clock.after(afterMs, () => this.refuse("slow", key));
  }

  #forget(key: string): Guest | undefined {
    const guest = this.#unproved.get(key) ?? this.#clients.get(key) ?? this.#linked.get(key);
    guest?.cancelTimer();
    for (const guests of [this.#unproved, this.#clients, this.#linked]) guests.delete(key);
    return guest;
  }

  /**
   * When a process has no file descriptor left, Node's listener never accepts again and does not
   * say so (Deno 2.9.6). So it dials itself, and listens anew when that does not come in.
   */
  async #watch(): Promise<void> {
    const { host } = this.#options.address;
    const hostname = host === "::" ? "::1" : host === "0.0.0.0" ? "127.0.0.1" : host;
    if (
      this.#endLook !== undefined ||
      Deno.permissions.querySync({ name: "net", host: `${hostname}:${this.#port}` }).state !==
        "granted"
    ) return;
    const late = new AbortController();
    const { promise: cameIn, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#options.clock.after(WATCH_MS / 2, () => end(false));
    const end = (came: boolean) => {
      cancel();
      resolve(came);
      late.abort();
    };
    this.#endLook = end;
    try {
      // It is closed at once, as everybody who is no node is in the end.
      (await Deno.connect({ hostname, port: this.#port, signal: late.signal })).close();
    } catch (thrown) {
      // Links and all other business need them more.
      if (/os error 2[34]\b/.test(describeError(thrown))) this.#shed();
      const isGone = thrown instanceof Deno.errors.ConnectionRefused;
      // No descriptor for that either: the next look tells. The rest are full queues.
      if (isGone || !late.signal.aborted) end(!isGone);
    }
    const isWell = await cameIn;
    this.#endLook = undefined;
    if (!isWell && !this.#closed) await this.#listenAnew();
  }

  /** Lets go of everybody who has no link. */
  #shed(): void {
    for (const peer of [...this.#unproved.keys(), ...this.#clients.keys()]) {
      this.refuse("crowd", peer);
    }
  }

  async #listenAnew(): Promise<void> {
    this.#server.close();
    try {
      const address = { ...this.#options.address, port: this.#port };
      const { server } = await listen(address, (socket) => this.#accept(socket));
      this.#server = server;
      if (this.#closed) server.close();
    } catch {
      // The next look tries again.
    }
  }
}

function listen(
  address: Address,
  accept: (socket: net.Socket) => void,
): Promise<{ server: net.Server; port: number }> {
  const target = formatAddress(address);
  // Node's listener throws this where nobody can catch it.
  if (Deno.permissions.querySync({ name: "net", host: target }).state !== "granted") {
    return Promise.reject(
      new NetworkError(
        "PERMISSION_DENIED",
        `Cannot listen on ${target}: not permitted. Grant --allow-net.`,
      ),
    );
  }
  const server = net.createServer(accept);
  return new Promise((resolve, reject) => {
    // Later ones, too, which nobody else would catch.
    server.on("error", (cause) => reject(listenError(target, cause)));
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      resolve({ server, port: (server.address() as net.AddressInfo).port });
    });
  });
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

function listenError(target: string, cause: Error): NetworkError {
  const reason = describeError(cause);
  if (/EADDRINUSE|AddrInUse|in use/i.test(reason)) {
    return new NetworkError(
      "PORT_IN_USE",
      `Cannot listen on ${target}: the port is taken. Choose another with --listen-port.`,
      { cause },
    );
  }
  return new NetworkError("UNAVAILABLE", `Cannot listen on ${target}: ${reason}`, { cause });
}
