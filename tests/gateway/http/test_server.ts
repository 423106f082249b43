/** An HTTP server with a service that the test scripts, and clients that obey no rules. */

import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { HttpListener, type HttpListenerOptions } from "../../../src/gateway/http/listener.ts";
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

/** One without a body. */
export const get = (path: string): string => request("GET", path);

/** One with that body. */
export const post = (path: string, body: string): string =>
  request("POST", path, `Content-Length: ${body.length}`) + body;

/** Says what it was asked, with the body. */
export const echo: Handler = async (request) => {
  const body = request.body === null ? "" : ` ${await textOf(request.body)}`;
  return new Response(`${request.method} ${request.url.pathname}${body}`);
};

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of body) text += decoder.decode(piece, { stream: true });
  return text;
}

/** See the top of the file. It lets in whoever sends the header `authorization`. */
export class TestServer implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly log: RecordingLogger = recordingLogger();
  readonly #clients: HttpClient[] = [];
  #listener!: HttpListener;
  #closed: Promise<void> | undefined;

  /** @param options What is to be different from others. */
  static async start(
    handler: Handler,
    options: Partial<HttpListenerOptions> = {},
  ): Promise<TestServer> {
    const server = new TestServer();
    server.#listener = await HttpListener.listen({
      host: "127.0.0.1",
      port: 0,
      clock: server.clock,
      logger: server.log.logger,
      headers: [],
      service: () => ({
        admit: ({ headers }) =>
          headers.has("authorization") ? undefined : new Response("who?", { status: 401 }),
        answer: handler,
        refuse: ({ status, message, retryAfterMs }) =>
          new Response(message, {
            status,
            headers: retryAfterMs === undefined ? {} : { "retry-after": `${retryAfterMs / 1_000}` },
          }),
        fail: (thrown) => new Response(`failed: ${thrown}`, { status: 500 }),
      }),
      ...options,
    });
    return server;
  }

  get listener(): HttpListener {
    return this.#listener;
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
    for (let i = 0; i < 1_900 && !isSettled; i++) await this.clock.advance(1);
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
