/**
 * The HTTP/1.1 server of Node, bounded so that nobody can keep it from answering: in what strangers
 * can hold of it, connections, bytes and time. It goes on when there are no file descriptors left.
 */

import http from "node:http";
import type { Socket } from "node:net";
import { type Clock, doneWithin } from "../../base/clock.ts";
import type { NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { LastingListener } from "../../transport/lasting_listener.ts";
import { Exchange, type ExchangeSetting, linger } from "./exchange.ts";
import { bytesOf, faultOf, HttpFault, MAX_HEAD_BYTES } from "./fault.ts";
import { type HttpReport, RefusalCounts, type RefusalReason } from "./report.ts";
import { type Guest, Seats } from "./seats.ts";
import type { HttpRequest, HttpService } from "./service.ts";

/** How long clients may take; all in milliseconds. */
export interface HttpTimes {
  /** For a head, from the connection, or from its first byte on one that is kept. */
  readonly headMs: number;
  /** For a whole request, from its first byte. */
  readonly requestMs: number;
  /** Until the next request: longer than clients keep a connection. */
  readonly idleMs: number;
  /** Between two looks who has taken longer. */
  readonly checkMs: number;
}

/** What an {@linkcode HttpListener} is made of. */
export interface HttpListenerOptions extends ExchangeSetting {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Knows what requests mean that come on that port. */
  readonly service: (port: number) => HttpService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** @default {HTTP_TIMES} */
  readonly times?: HttpTimes;
}

/** See {@linkcode HttpTimes}. */
export const HTTP_TIMES: HttpTimes = {
  headMs: 10_000,
  requestMs: 30_000,
  idleMs: 120_000,
  checkMs: 1_000,
};
/** Connections that the system keeps until it is their turn; more than it keeps have to retry. */
const BACKLOG = 4_096;

const BUSY = new HttpFault(503, "too many others are being answered. Try again later.", 1_000);

/** A connection of a client. */
class Client implements Guest {
  readonly since: number;
  readonly socket: Socket;
  /** What is being answered. */
  readonly exchanges = new Set<Exchange>();
  /** Nothing more of it is answered. */
  isLast = false;

  constructor(socket: Socket, now: number) {
    this.socket = socket;
    this.since = now;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** See the top of the file. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #seats: Seats<Client>;
  readonly #clients = new Map<Socket, Client>();
  readonly #refusals: RefusalCounts;
  #listener: LastingListener | undefined;
  #service!: HttpService;
  #answered = 0;
  #trimming: unknown;
  /** Resolves when nobody is there any more. */
  #emptied: (() => void) | undefined;

  private constructor(options: HttpListenerOptions) {
    this.#options = options;
    this.#refusals = new RefusalCounts(options.clock, options.logger);
    this.#seats = new Seats(() => this.#refusals.add("crowd"));
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken; `PERMISSION_DENIED`.
   */
  static async listen(options: HttpListenerOptions): Promise<HttpListener> {
    const listener = new HttpListener(options);
    listener.#listener = await LastingListener.listen({
      host: options.host,
      port: options.port,
      backlog: BACKLOG,
      clock: options.clock,
      action: "Cannot serve the API",
      portOption: "--api-port",
      createServer: () => listener.#createServer(),
      onStarved: () => listener.#thin(),
    });
    listener.#service = options.service(listener.port);
    return listener;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#listener!.port;
  }

  /** What has happened so far. */
  report(): HttpReport {
    return {
      open: this.#seats.count(),
      answered: this.#answered,
      refused: this.#refusals.all(),
    };
  }

  /**
   * Stops listening, ends what is being answered, and closes all connections. To be called once.
   *
   * @param reason What those learn who make the answers.
   * @param patienceMs How long clients may take to read the end of theirs.
   */
  async close(reason: NetworkError, patienceMs: number): Promise<void> {
    this.#listener!.close();
    for (const client of this.#seats.all()) {
      client.isLast = true;
      if (client.exchanges.size === 0) client.close();
      for (const { ending } of client.exchanges) ending.abort(reason);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#emptied = resolve;
    if (this.#clients.size === 0) resolve();
    await doneWithin(this.#options.clock, patienceMs, promise);
    for (const client of this.#seats.all()) client.close();
    await promise;
  }

  #createServer(): http.Server {
    // Node looks no more after the times of those who came to the one that this replaces.
    if (this.#listener !== undefined) this.#thin();
    const { headMs, requestMs, idleMs, checkMs } = this.#options.times ?? HTTP_TIMES;
    const server = http.createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: headMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: checkMs,
      // Whether it is there is seen with what it says.
      requireHostHeader: false,
    });
    // Those beyond would be dropped, and perhaps the one that speaks against the request.
    server.maxHeadersCount = 0;
    server.on("connection", (socket) => this.#enter(socket));
    server.on("request", (_, res) => this.#serve(res, false));
    server.on("checkContinue", (_, res) => this.#serve(res, true));
    // That is no more than a wish, and this API has no other way.
    server.on("checkExpectation", (_, res) => this.#serve(res, false));
    server.on("clientError", (error: Error & { code?: string }, socket) => {
      void this.#onClientError(socket as Socket, faultOf(error.code));
    });
    return server;
  }

  #enter(socket: Socket): void {
    if (this.#emptied !== undefined) return void socket.destroy();
    const client = new Client(socket, this.#options.clock.now());
    this.#clients.set(socket, client);
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#clients.delete(socket);
      this.#seats.leave(client);
      for (const exchange of client.exchanges) exchange.abandon();
      if (this.#clients.size === 0) this.#emptied?.();
    });
    this.#seats.enter(client);
    // Many come in at once: what they have sent is read before it is their turn to go.
    this.#trimming ??= setImmediate(() => {
      this.#trimming = undefined;
      this.#seats.trim(this.#options.clock.now());
    });
  }

  #serve(res: http.ServerResponse, asks: boolean): void {
    const client = this.#clients.get(res.req.socket);
    if (client === undefined) return;
    // Who goes on all the same behind its last request is not kept for the answers before it.
    if (client.isLast) return client.exchanges.size > 1 ? client.close() : undefined;
    const exchange = new Exchange(res, this.#options);
    client.exchanges.add(exchange);
    this.#answer(client, exchange, asks)
      // The answer has failed halfway.
      .catch(() => client.close())
      .finally(() => client.exchanges.delete(exchange));
  }

  async #answer(client: Client, exchange: Exchange, asks: boolean): Promise<void> {
    const service = this.#service;
    let request: HttpRequest;
    try {
      request = exchange.request(`http://${this.#options.host}:${this.port}`, asks);
    } catch (fault) {
      return await this.#refuse(client, exchange, fault as HttpFault);
    }
    const dismissal = service.admit(request);
    if (dismissal !== undefined) {
      if (dismissal.status < 400) this.#answered++;
      else this.#refusals.add("not-admitted");
      client.isLast = true;
      return await exchange.send(dismissal, true);
    }
    if (!this.#seats.seat(client)) return await this.#refuse(client, exchange, BUSY, request);
    try {
      const { signal } = exchange.ending;
      const response = await (async () => await service.answer(request, signal))()
        .catch((thrown) => service.fail(thrown));
      await exchange.send(response, client.isLast);
      this.#answered++;
    } finally {
      this.#seats.release(client);
      // Whatever would have made a body has no other way to learn that none is wanted.
      if (request.method === "HEAD") exchange.abandon();
    }
  }

  async #refuse(
    client: Client,
    exchange: Exchange,
    fault: HttpFault,
    request?: HttpRequest,
  ): Promise<void> {
    this.#refusals.add(reasonOf(fault));
    client.isLast = true;
    await exchange.send(this.#service.refuse(fault, request), true);
  }

  /** What came is no request, or did not come in time, or its client is gone. */
  async #onClientError(socket: Socket, fault: HttpFault | undefined): Promise<void> {
    const client = this.#clients.get(socket);
    if (client === undefined || fault === undefined || !socket.writable) {
      return void socket.destroy();
    }
    this.#refusals.add(reasonOf(fault));
    client.isLast = true;
    for (const exchange of client.exchanges) {
      if (exchange.isAnswered) return client.close();
      exchange.abandon();
    }
    const response = this.#service.refuse(fault);
    for (const [name, value] of this.#options.headers) response.headers.set(name, value);
    socket.end(await bytesOf(response));
    await linger(socket, this.#options.clock);
    client.close();
  }

  #thin(): void {
    this.#refusals.add("starved");
    this.#seats.thin(this.#options.clock.now());
  }
}

function reasonOf({ status }: HttpFault): RefusalReason {
  return status === 408 ? "slow" : status === 503 ? "busy" : "malformed";
}
