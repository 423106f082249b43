/**
 * A TCP port on which connections go on coming in. When a process has no file descriptor left,
 * Node's listeners never accept again and do not say so (Deno 2.9.6): this one sees to it that it
 * does not come to that, and listens anew when it has.
 */

import type net from "node:net";
import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { isGranted, needGranted } from "../base/permissions.ts";

/** What a {@linkcode LastingListener} is made of. */
export interface LastingListenerOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Connections that the system keeps until it is their turn. */
  readonly backlog: number;
  /** Makes a server that does not listen yet: the first, and one for each that takes nothing more. */
  readonly createServer: () => net.Server;
  readonly clock: Clock;
  /** The beginning of what is said when it cannot listen: `Cannot listen`. */
  readonly action: string;
  /** The option that chooses another port: `--listen-port`. */
  readonly portOption: string;
  /** Hardly a file descriptor is left. Called again for as long as that is so. */
  readonly onStarved?: () => void;
}

/**
 * Node takes those that wait at once, up to 128, and a server keeps some: where fewer descriptors are
 * free than for that, only few may wait.
 */
const ROOMY_DESCRIPTORS = 128 + 80;
/** So many. */
const FEW_BACKLOG = 8;
/** What must be free behind each connection: for the next that are taken, and for the rest. */
const SPARE_DESCRIPTORS = FEW_BACKLOG + 4;

/** Between two looks whether connections still come in. */
const WATCH_MS = 2_000;
/** How long until what it sends itself has come in. */
const PATIENCE_MS = 1_000;
/** How long, when hardly a descriptor was left; and until it looks then. */
const STARVED_MS = 200;
/** How long only few may wait after there was none. */
const THRIFT_MS = 60_000;

type Look = "well" | "deaf" | "starved";

/** See the top of the file. */
export class LastingListener {
  readonly #options: LastingListenerOptions;
  #server!: net.Server;
  #port: number;
  #cancelWatch: CancelTimer = () => {};
  #cancelSoon: CancelTimer | undefined;
  #endLook: ((seen: Look) => void) | undefined;
  #closed = false;
  #isWatching = false;
  #isThrifty = false;
  #starvedAt = -Infinity;
  /** Connections that are open. */
  #open = 0;
  /** So many could be open since the last look, and there were descriptors to spare. */
  #proved = 0;

  private constructor(options: LastingListenerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken; `PERMISSION_DENIED`.
   */
  static async listen(options: LastingListenerOptions): Promise<LastingListener> {
    const listener = new LastingListener(options);
    listener.#server = await listener.#listen(listener.#backlog());
    listener.#port = (listener.#server.address() as net.AddressInfo).port;
    listener.#cancelWatch = every(options.clock, WATCH_MS, () => void listener.#watch(PATIENCE_MS));
    return listener;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** Takes no more connections; those that are there stay. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#cancelWatch();
    this.#cancelSoon?.();
    this.#endLook?.("well");
    this.#server.close();
  }

  #onConnection(socket: net.Socket): void {
    this.#endLook?.("well");
    this.#open++;
    socket.once("close", () => this.#open--);
    if (this.#open <= this.#proved) return;
    if (hasDescriptors(SPARE_DESCRIPTORS)) this.#proved = this.#open;
    else this.#starve();
  }

  #starve(): void {
    if (this.#closed) return;
    this.#starvedAt = this.#options.clock.now();
    this.#options.onStarved?.();
    this.#cancelSoon ??= this.#options.clock.after(STARVED_MS, () => {
      this.#cancelSoon = undefined;
      void this.#watch(STARVED_MS);
    });
  }

  /** Looks whether connections come in, and listens anew when they do not. */
  async #watch(patienceMs: number): Promise<void> {
    this.#proved = 0;
    const { host, clock } = this.#options;
    const hostname = host === "::" ? "::1" : host === "0.0.0.0" ? "127.0.0.1" : host;
    const target = hostPort(hostname, this.#port);
    if (this.#isWatching || !isGranted({ name: "net", host: target })) return;
    this.#isWatching = true;
    const seen = await this.#look(hostname, patienceMs);
    if (seen === "deaf") await this.#listenAnew(FEW_BACKLOG);
    else if (seen === "starved") this.#starve();
    else if (this.#isThrifty && clock.now() - this.#starvedAt >= THRIFT_MS) {
      this.#starvedAt = clock.now();
      if (this.#backlog() !== FEW_BACKLOG) await this.#listenAnew(this.#options.backlog);
    }
    this.#isWatching = false;
  }

  /** Dials itself. */
  async #look(hostname: string, patienceMs: number): Promise<Look> {
    const { promise, resolve } = Promise.withResolvers<Look>();
    const over = new AbortController();
    // When the process was busy meanwhile, what has come is seen only now.
    const cancel = this.#options.clock.after(
      patienceMs,
      () => void setImmediate(() => end("deaf")),
    );
    const end = this.#endLook = (seen: Look) => {
      cancel();
      over.abort();
      resolve(seen);
    };
    try {
      (await Deno.connect({ hostname, port: this.#port, signal: over.signal })).close();
    } catch (thrown) {
      if (thrown instanceof Deno.errors.ConnectionRefused) end("deaf");
      else if (isStarvation(thrown)) end("starved");
      // Whatever else there is, such as no port to dial from, is not the listener's.
      else if (!over.signal.aborted) end("well");
    }
    return await promise;
  }

  async #listenAnew(backlog: number): Promise<void> {
    if (this.#closed) return;
    this.#server.close();
    this.#starvedAt = this.#options.clock.now();
    try {
      this.#server = await this.#listen(backlog);
      if (this.#closed) this.#server.close();
    } catch {
      // The next look tries again.
    }
  }

  #backlog(): number {
    return hasDescriptors(ROOMY_DESCRIPTORS) ? this.#options.backlog : FEW_BACKLOG;
  }

  #listen(backlog: number): Promise<net.Server> {
    this.#isThrifty = backlog === FEW_BACKLOG;
    const { host, createServer, action } = this.#options;
    const target = hostPort(host, this.#port);
    // Node's listener throws this where nobody can catch it.
    needGranted(`${action} on ${target}`, { name: "net", host: target });
    const server = createServer();
    return new Promise((resolve, reject) => {
      server.on("error", (cause) => reject(this.#listenError(target, cause)));
      server.on("connection", (socket) => this.#onConnection(socket));
      server.listen({ host, port: this.#port, backlog }, () => resolve(server));
    });
  }

  #listenError(target: string, cause: Error): NetworkError {
    const action = `${this.#options.action} on ${target}`;
    const reason = describeError(cause);
    if (/EADDRINUSE|AddrInUse|in use/i.test(reason)) {
      return new NetworkError(
        "PORT_IN_USE",
        `${action}: the port is taken. Choose another with ${this.#options.portOption}.`,
        { cause },
      );
    }
    return new NetworkError("UNAVAILABLE", `${action}: ${reason}`, { cause });
  }
}

/** Whether the process may open so many more files; true where it may not be tried. */
function hasDescriptors(count: number): boolean {
  // Where nobody else can connect to it in that moment.
  const hostname = "127.0.0.1";
  if (!isGranted({ name: "net", host: hostPort(hostname, 0) })) return true;
  const held: Deno.TcpListener[] = [];
  try {
    while (held.length < count) held.push(Deno.listen({ hostname, port: 0 }));
    return true;
  } catch (thrown) {
    return !isStarvation(thrown);
  } finally {
    for (const one of held) one.close();
  }
}

/** EMFILE and ENFILE, and what Windows calls them. */
function isStarvation(thrown: unknown): boolean {
  return /\(os error (23|24|10024)\)/.test(describeError(thrown));
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
