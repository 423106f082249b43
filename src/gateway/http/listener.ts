/**
 * An HTTP/1.1 server that nobody can keep from answering: it bounds what strangers can hold of it,
 * in connections, bytes and time, and goes on when the process has no file descriptors left.
 */

import { type Clock, doneWithin, sleep } from "../../base/clock.ts";
import type { NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { AnswerSetting } from "./answer.ts";
import { type ConnectionHost, HttpConnection } from "./connection.ts";
import { type HttpReport, RefusalCounts } from "./report.ts";
import { Seats } from "./seats.ts";
import type { HttpService } from "./service.ts";

/** What is used of a `Deno.TcpListener`. */
export type ConnectionSource = Pick<Deno.TcpListener, "accept" | "close" | "addr">;

/** What an {@linkcode HttpListener} is made of. */
export interface HttpListenerOptions {
  /** Where connections come from; {@linkcode HttpListener.close} closes it. */
  readonly source: ConnectionSource;
  readonly service: HttpService;
  /** Headers of every answer that does not set them itself. */
  readonly headers: AnswerSetting["headers"];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two attempts to take a connection that the system does not give; doubled each time. */
const RETRY_MS = { first: 10, last: 1_000 };

/** See the top of the file. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #host: ConnectionHost;
  readonly #seats: Seats<HttpConnection>;
  readonly #refusals: RefusalCounts;
  /** One promise for each connection, until it is closed. */
  readonly #served = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #answered = 0;

  /** Begins to take connections. */
  constructor(options: HttpListenerOptions) {
    const { source, service, headers, clock, logger } = options;
    this.#options = options;
    this.#refusals = new RefusalCounts(clock, logger);
    this.#seats = new Seats(() => this.#refusals.add("crowd"));
    this.#host = {
      service,
      clock,
      headers,
      base: `http://${source.addr.hostname}:${source.addr.port}`,
      seat: (connection) => this.#seats.seat(connection),
      release: (connection) => this.#seats.release(connection),
      answered: () => this.#answered++,
      refused: (reason) => this.#refusals.add(reason),
    };
    void this.#acceptAll();
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#options.source.addr.port;
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
    this.#closing.abort();
    this.#options.source.close();
    for (const connection of this.#seats.all()) connection.end(reason);
    const allServed = Promise.all(this.#served);
    await doneWithin(this.#options.clock, patienceMs, allServed);
    for (const connection of this.#seats.all()) connection.close();
    await allServed;
  }

  async #acceptAll(): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = RETRY_MS.first; !signal.aborted;) {
      try {
        await this.#makeRoom();
        const conn = await this.#options.source.accept();
        if (signal.aborted) return conn.close();
        this.#serve(conn);
        pauseMs = RETRY_MS.first;
      } catch (thrown) {
        if (signal.aborted) return;
        // Who has gone before it was its turn takes nothing away from others.
        if (thrown instanceof Deno.errors.ConnectionAborted) continue;
        this.#refusals.add("starved");
        this.#seats.thin(this.#options.clock.now());
        await sleep(this.#options.clock, pauseMs, signal).catch(() => {});
        pauseMs = Math.min(RETRY_MS.last, pauseMs * 2);
      }
    }
  }

  /** Waits until one more may be there; the system keeps those that come meanwhile. */
  async #makeRoom(): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      const waitMs = this.#seats.makeRoom(clock.now());
      if (waitMs === undefined) return;
      await sleep(clock, waitMs, this.#closing.signal);
      this.#seats.turned(clock.now());
    }
  }

  #serve(conn: Deno.TcpConn): void {
    const connection = new HttpConnection(conn, this.#host);
    this.#seats.enter(connection);
    const served = connection.serve().finally(() => {
      this.#seats.leave(connection);
      this.#served.delete(served);
    });
    this.#served.add(served);
  }
}
