/** An HTTP server with a service that the test scripts, and clients that obey no rules. */

import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { type ConnectionSource, HttpListener } from "../../../src/gateway/http/listener.ts";
import type { HttpService } from "../../../src/gateway/http/service.ts";
import { HttpClient } from "../../support/http_client.ts";
import { type RecordingLogger, recordingLogger } from "../../support/recording_logger.ts";
import { soon } from "../../support/soon.ts";

/** Answers a request that was let in. */
export type Handler = HttpService["answer"];

/** A request that is let in. */
export function request(method: string, path: string, ...headers: string[]): string {
  return [`${method} ${path} HTTP/1.1`, "Host: x", "Authorization: yes", ...headers, "", ""]
    .join("\r\n");
}

/** See the top of the file. It lets in whoever sends the header `authorization`. */
export class TestServer implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly log: RecordingLogger = recordingLogger();
  readonly listener: HttpListener;
  readonly #clients: HttpClient[] = [];
  #closed: Promise<void> | undefined;

  /** @param source What connections come from, by default a socket of the system. */
  constructor(
    handler: Handler,
    source: ConnectionSource = Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  ) {
    this.listener = new HttpListener({
      source,
      clock: this.clock,
      logger: this.log.logger,
      headers: [],
      service: {
        admit: ({ headers }) =>
          headers.has("authorization") ? undefined : new Response("who?", { status: 401 }),
        answer: handler,
        refuse: ({ status, message, retryAfterMs }) =>
          new Response(message, {
            status,
            headers: retryAfterMs === undefined ? {} : { "retry-after": `${retryAfterMs / 1_000}` },
          }),
        fail: (thrown) => new Response(`failed: ${thrown}`, { status: 500 }),
      },
    });
  }

  /** Connects and sends that. */
  async connect(...texts: string[]): Promise<HttpClient> {
    const client = await HttpClient.connect(this.listener.port);
    this.#clients.push(client);
    for (const text of texts) await client.send(text);
    return client;
  }

  /** Moves time on until `promise` settles. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => void (isSettled = true);
    promise.then(settle, settle);
    for (let i = 0; i < 2_000 && !isSettled; i++) await this.clock.advance(1);
    return await soon(promise, "what time was moved on for");
  }

  /** Ends what is answered, and closes it; may be repeated. */
  close(): Promise<void> {
    this.#closed ??= this.listener.close(new NetworkError("CANCELLED", "Stopped: enough."), 1_000);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.wait(this.close());
  }
}
