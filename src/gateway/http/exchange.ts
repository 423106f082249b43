/** A request and its answer: what Node has of them as what the web has, and back. */

import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { type Clock, doneWithin } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { incomingRequest } from "./incoming.ts";
import type { HttpAnswer, HttpRequest } from "./service.ts";

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
/** Answers that never have a body, and must not tell its length (RFC 9110, 8.6). */
const BODILESS: ReadonlySet<number> = new Set([204, 304]);
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
  request(base: string, asks: boolean): HttpRequest {
    return incomingRequest(this.#req, base, () => {
      if (asks) this.#res.writeContinue();
    });
  }

  /**
   * Sends the answer: with its length when all of it is there, else piece by piece, each as soon as
   * it is there. The first answer counts, another one is dropped.
   *
   * @param closes Whether the connection is closed behind it. It is in any case when the request
   * has not wholly come.
   * @throws What the body fails with. The connection is of no more use then.
   */
  async send({ status, headers, body }: HttpAnswer, closes: boolean): Promise<void> {
    if (this.#isAnswered) return void (isPieces(body) && leave(body));
    this.#isAnswered = true;
    const head = closes || !this.#req.complete ? ["connection", "close"] : [];
    const own = new Set<string>();
    for (const [name, value] of headers) {
      own.add(name);
      if (!FRAMING.test(name)) head.push(name, value);
    }
    for (const [name, value] of this.#setting.headers) if (!own.has(name)) head.push(name, value);
    if (!isPieces(body)) return await this.#sendWhole(status, head, body ?? "");
    if (this.#req.method === "HEAD") {
      this.#res.writeHead(status, head);
      leave(body);
      return await this.#end();
    }
    const reader = readerOf(body);
    this.#lost.promise.then(() => reader.cancel()).catch(() => {});
    const read = reader.read();
    const second = reader.read();
    if ((await ifReady(second))?.done) {
      return await this.#sendWhole(status, head, (await read).value ?? "");
    }
    this.#res.writeHead(status, head);
    // The head goes out with the first piece where that is there by now.
    if (await ifReady(read) === undefined) this.#res.flushHeaders();
    for (let next = read;; next = next === read ? second : reader.read()) {
      const { done, value } = await next;
      if (done) return await this.#end();
      if (!this.#res.write(value)) await this.#until("drain");
    }
  }

  async #sendWhole(status: number, head: string[], body: string | Uint8Array): Promise<void> {
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    if (!BODILESS.has(status)) head.push("content-length", `${length}`);
    this.#res.writeHead(status, head);
    await this.#end(this.#req.method === "HEAD" || length === 0 ? undefined : body);
  }

  async #end(last?: string | Uint8Array): Promise<void> {
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

type Pieces = AsyncGenerator<string, void, void> | ReadableStream<Uint8Array>;

interface PieceReader {
  read(): Promise<{ readonly done?: boolean; readonly value?: string | Uint8Array | void }>;
  cancel(): Promise<unknown>;
}

function isPieces(body: HttpAnswer["body"]): body is Pieces {
  return body !== null && typeof body !== "string";
}

function readerOf(pieces: Pieces): PieceReader {
  if (pieces instanceof ReadableStream) return pieces.getReader();
  return { read: () => pieces.next(), cancel: () => pieces.return() };
}

function leave(pieces: Pieces): void {
  readerOf(pieces).cancel().catch(() => {});
}

/** What `promise` resolves to if that is known by now, or nearly. */
async function ifReady<T>(promise: Promise<T>): Promise<T | undefined> {
  let value: T | undefined;
  promise.then((resolved) => value = resolved, () => {});
  for (let turn = 0; value === undefined && turn < READY_TURNS; turn++) await undefined;
  return value;
}
