/** A request and its answer: what Node has of them as what the web has, and back. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { type Clock, doneWithin } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { HttpFault } from "./fault.ts";

/** What an {@linkcode Exchange} needs to know of the server. */
export interface ExchangeSetting {
  readonly clock: Clock;
  /** Headers of every answer that does not set them itself. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** How long what is still sent is read behind an answer, which the client would not see else. */
export const LINGER_MS = 1_000;
/** Between two reads of that. */
const LINGER_PAUSE_MS = 10;
/** Turns of the queue of promises after which a piece of a body is not ready yet. */
const READY_TURNS = 10;
/** Node's own affair, whatever a handler sets. */
const FRAMING = /^(connection|content-length|keep-alive|transfer-encoding)$/;

/** See the top of the file. */
export class Exchange {
  /** Tells whoever makes the answer that it is in vain. */
  readonly ending = new AbortController();
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #setting: ExchangeSetting;
  /** Resolves when the client is gone. */
  readonly #lost = Promise.withResolvers<void>();
  #isAnswered = false;

  constructor(res: ServerResponse, setting: ExchangeSetting) {
    this.#req = res.req;
    this.#res = res;
    this.#setting = setting;
    // That the client is gone is told by its connection.
    for (const stream of [this.#req, res]) stream.on("error", () => {});
  }

  /** Whether its answer is under way. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Nobody is there any more for whom it could be answered. */
  abandon(): void {
    this.ending.abort(new NetworkError("CANCELLED", "Cancelled: the client went away."));
    this.#lost.resolve();
  }

  /**
   * The request.
   *
   * @param base What stands before its path: `http://127.0.0.1:5680`.
   * @param asks Whether the client waits for leave before it sends the body.
   * @throws {HttpFault} When it is none that the web knows.
   */
  request(base: string, asks: boolean): Request {
    const { method = "", url = "", rawHeaders, headers: known } = this.#req;
    const hasBody = (known["content-length"] ?? known["transfer-encoding"] ?? "0") !== "0" &&
      // A Request takes none for these, and nobody wants it.
      method !== "GET" && method !== "HEAD";
    try {
      if (!url.startsWith("/")) throw new TypeError("It is for another server, or for none.");
      const headers = new Headers();
      // As they came: one that may be there once and is there twice has a value that nobody knows.
      for (let i = 0; i < rawHeaders.length; i += 2) {
        headers.append(rawHeaders[i], rawHeaders[i + 1]);
      }
      const body = hasBody ? this.#body(asks) : undefined;
      return new Request(base + url, { method, headers, body });
    } catch {
      throw new HttpFault(400, "its method, its path or its headers are none.");
    }
  }

  /**
   * Sends the answer: with its length when all of it is there, else piece by piece, each as soon as
   * it is there. The first answer counts, another one is dropped.
   *
   * @param closes Whether the connection is closed behind it. It is in any case when the request
   * has not wholly come.
   * @throws What the body fails with. The connection is of no more use then.
   */
  async send({ status, headers, body }: Response, closes: boolean): Promise<void> {
    if (this.#isAnswered) return void body?.cancel().catch(() => {});
    this.#isAnswered = true;
    const head = closes || !this.#req.complete ? ["connection", "close"] : [];
    for (const [name, value] of headers) if (!FRAMING.test(name)) head.push(name, value);
    for (const [name, value] of this.#setting.headers) {
      if (!headers.has(name)) head.push(name, value);
    }
    if (body === null || this.#req.method === "HEAD") {
      this.#res.writeHead(status, body === null ? [...head, "content-length", "0"] : head);
      void body?.cancel().catch(() => {});
      return await this.#end();
    }
    const reader = body.getReader();
    this.#lost.promise.then(() => reader.cancel()).catch(() => {});
    const read = reader.read();
    const second = reader.read();
    if ((await ifReady(second))?.done) {
      const { value } = await read;
      this.#res.writeHead(status, [...head, "content-length", `${value?.length ?? 0}`]);
      return await this.#end(value);
    }
    this.#res.writeHead(status, head).flushHeaders();
    for (let next = read;; next = next === read ? second : reader.read()) {
      const { done, value } = await next;
      if (done) return await this.#end();
      if (!this.#res.write(value)) await this.#until("drain");
    }
  }

  /** Nothing of it is read before somebody wants it, and no more of it than they take. */
  #body(asks: boolean): ReadableStream<Uint8Array<ArrayBuffer>> {
    const req = this.#req;
    let isBegun = false;
    return new ReadableStream({
      pull: (controller) => {
        if (isBegun) return void req.resume();
        isBegun = true;
        if (asks) this.#res.writeContinue();
        const failed = () => {
          if (!req.complete) controller.error(new Error("The request broke off."));
        };
        req.on("data", (piece) => {
          req.pause();
          controller.enqueue(piece);
        });
        req.once("end", () => controller.close());
        req.once("error", failed);
        req.once("close", failed);
      },
      // Whoever reads no further may still want to answer.
      cancel: () => void req.pause().removeAllListeners("data").removeAllListeners("end"),
    }, { highWaterMark: 0 });
  }

  async #end(last?: Uint8Array): Promise<void> {
    if (!this.#req.complete) {
      if (last === undefined) this.#res.flushHeaders();
      else this.#res.write(last);
      await linger(this.#req, this.#setting.clock);
      last = undefined;
    }
    this.#res.end(last);
    if (!this.#res.closed) await this.#until("close");
  }

  async #until(event: "drain" | "close"): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#res.once(event, resolve);
    await Promise.race([promise, this.#lost.promise]);
  }
}

/**
 * Reads what is still sent, for a moment. A connection that is closed over unread bytes is reset,
 * and with it the answer may be lost that the client has not read yet.
 */
export async function linger(source: Readable, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  source.once("end", resolve).once("close", resolve).on("data", () => {
    // Not as fast as it comes: those who flood would take the time that others need.
    source.pause();
    clock.after(LINGER_PAUSE_MS, () => source.resume());
  });
  source.resume();
  await doneWithin(clock, LINGER_MS, promise);
}

/** What `promise` resolves to if that is known by now, or nearly. */
async function ifReady<T>(promise: Promise<T>): Promise<T | undefined> {
  let value: T | undefined;
  promise.then((resolved) => value = resolved, () => {});
  for (let turn = 0; value === undefined && turn < READY_TURNS; turn++) await undefined;
  return value;
}
