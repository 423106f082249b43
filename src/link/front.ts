/**
 * Where connections come in: it takes them one by one, lets nobody in who shows no certificate of
 * the network, and keeps those that have not proved themselves from using up what others need.
 */

import net from "node:net";
import { type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { PeerCredential } from "../security/trust.ts";
import { type Address, formatAddress, hostOf } from "./frame_stream.ts";
import { type LinkSecurity, TlsGate } from "./tls_gate.ts";

/** Why a connection was refused. */
export type RefusalReason =
  /** Too many others had not proved themselves either. */
  | "crowd"
  /** It did not complete its handshake, or made no call, in time. */
  | "slow"
  /** It showed no certificate of the network, or spoke no TLS at all. */
  | "stranger"
  /** Its certificate counts no more: the key was changed, or it was evicted. */
  | "not-admitted";

/** What was refused so far, by reason, and where the last one came from. */
export type FrontReport = Record<RefusalReason, { count: number; host: string }>;

/** What a {@linkcode Front} is made of. */
export interface FrontOptions {
  readonly address: Address;
  readonly clock: Clock;
  /** Undefined: connections are in the clear. */
  readonly security: LinkSecurity | undefined;
  /** Takes a connection that was let in; it counts as proved only with {@linkcode Front.prove}. */
  readonly onConnection: (socket: net.Socket) => void;
}

/** Connections that have not proved themselves, at a time. */
const MAX_UNPROVED = 64;
/** How long a TLS handshake may take. */
const HANDSHAKE_MS = 2_000;
/** How long until the first call. Existing peers connect first and call then. */
const FIRST_CALL_MS = 10_000;
/** Between two looks whether connections still come in. */
const WATCH_MS = 2_000;
/** Waiting connections that the system keeps. */
const BACKLOG = 511;

interface Unproved {
  readonly socket: net.Socket;
  readonly host: string;
  cancelTimer(): void;
}

/** See the top of the file. */
export class Front {
  readonly #options: FrontOptions;
  readonly #gate: TlsGate | undefined;
  /** By remote host and port, the oldest first. */
  readonly #unproved = new Map<string, Unproved>();
  readonly #credentials = new Map<string, PeerCredential>();
  readonly #refused: FrontReport = {
    crowd: { count: 0, host: "" },
    slow: { count: 0, host: "" },
    stranger: { count: 0, host: "" },
    "not-admitted": { count: 0, host: "" },
  };
  #server: net.Server;
  #port: number;
  #accepted = 0;
  #cancelWatch = () => {};
  #closed = false;

  private constructor(options: FrontOptions, server: net.Server, port: number) {
    this.#options = options;
    this.#server = server;
    this.#port = port;
    const { security } = options;
    this.#gate = security === undefined ? undefined : new TlsGate(security, {
      onSecure: (socket, peer) => this.#enter(socket, peer),
      onRefused: (reason, socket) => this.#refuse(reason, keyOf(socket)),
      onJoining: (socket) => this.prove(keyOf(socket) ?? ""),
    });
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken; `PERMISSION_DENIED`.
   */
  static async listen(options: FrontOptions): Promise<Front> {
    const { address, clock } = options;
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

  /** A call came on that connection: it is one of a node, or of a client. */
  prove(peer: string): void {
    this.#unproved.get(peer)?.cancelTimer();
    this.#unproved.delete(peer);
  }

  /** Stops listening and ends the connections that nobody has taken; idempotent. */
  close(): void {
    this.#closed = true;
    this.#cancelWatch();
    this.#server.close();
    for (const { socket, cancelTimer } of this.#unproved.values()) {
      cancelTimer();
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    this.#accepted++;
    socket.on("error", () => {});
    // Half of a frame must not wait for the other half's acknowledgement.
    socket.setNoDelay(true);
    const key = keyOf(socket);
    if (this.#closed || key === undefined) return void socket.destroy();
    this.#unproved.set(key, {
      socket,
      host: hostOf(key),
      cancelTimer: this.#expire(key, this.#gate === undefined ? FIRST_CALL_MS : HANDSHAKE_MS),
    });
    socket.once("close", () => {
      this.#credentials.delete(key);
      this.prove(key);
    });
    if (this.#unproved.size > MAX_UNPROVED) this.#refuse("crowd", this.#mostCrowded());
    if (this.#gate === undefined) this.#options.onConnection(socket);
    else this.#gate.take(socket);
  }

  /** The handshake is done, and the certificate is one of the network's. */
  #enter(socket: net.Socket, peer: PeerCredential | undefined): void {
    const key = keyOf(socket);
    const entry = key === undefined ? undefined : this.#unproved.get(key);
    if (key === undefined || entry === undefined) return void socket.destroy();
    entry.cancelTimer();
    entry.cancelTimer = this.#expire(key, FIRST_CALL_MS);
    if (peer !== undefined) this.#credentials.set(key, peer);
    this.#options.onConnection(socket);
  }

  #expire(key: string, afterMs: number): () => void {
    return this.#options.clock.after(afterMs, () => this.#refuse("slow", key));
  }

  #refuse(reason: RefusalReason, key: string | undefined): void {
    const entry = key === undefined ? undefined : this.#unproved.get(key);
    if (key === undefined || entry === undefined) return;
    this.#refused[reason].count++;
    this.#refused[reason].host = entry.host;
    this.prove(key);
    entry.socket.destroy();
  }

  /** The oldest of the host that has the most: one that floods hits itself first. */
  #mostCrowded(): string {
    const counts = new Map<string, number>();
    for (const { host } of this.#unproved.values()) counts.set(host, (counts.get(host) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const [key, { host }] of this.#unproved) if (counts.get(host) === most) return key;
    throw new Error("Nobody is there.");
  }

  /**
   * When a process has no file descriptor left, Node's listener never accepts again and does not
   * say so (Deno 2.9.6). So it dials itself, and listens anew when that does not come in.
   */
  async #watch(): Promise<void> {
    const before = this.#accepted;
    const { host } = this.#options.address;
    const hostname = host === "::" ? "::1" : host === "0.0.0.0" ? "127.0.0.1" : host;
    if (
      Deno.permissions.querySync({ name: "net", host: `${hostname}:${this.#port}` }).state !==
        "granted"
    ) return;
    let probe: Deno.TcpConn;
    try {
      probe = await Deno.connect({ hostname, port: this.#port });
    } catch {
      // No descriptor for that either: the next look tells.
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(WATCH_MS / 2, resolve);
    // It is closed at once, as everybody who is no node is in the end.
    probe.close();
    await promise;
    cancel();
    if (this.#accepted > before || this.#closed) return;
    await this.#listenAnew();
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
    server.once("error", (cause) => reject(listenError(target, cause)));
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      resolve({ server, port: (server.address() as net.AddressInfo).port });
    });
  });
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
