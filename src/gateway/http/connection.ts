/** One connection of a client: its requests, one after the other, and their answers. */

import { type CancelTimer, type Clock, sleep } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { type AnswerSetting, CONTINUE, writeAnswer } from "./answer.ts";
import { RequestBody } from "./body.ts";
import { HttpFault } from "./fault.ts";
import { headEnd, MAX_HEAD_BYTES, parseHead, type RequestHead } from "./head.ts";
import { Inbox } from "./inbox.ts";
import type { RefusalReason } from "./report.ts";
import type { HttpService } from "./service.ts";

/** What a connection needs of the server that it belongs to. */
export interface ConnectionHost {
  readonly service: HttpService;
  readonly clock: Clock;
  /** What stands before the path in the address of a request: `http://127.0.0.1:5680`. */
  readonly base: string;
  readonly headers: AnswerSetting["headers"];
  /** Asks for a place among those that are answered; false when all are taken. */
  seat(connection: HttpConnection): boolean;
  /** It has its answer. */
  release(connection: HttpConnection): void;
  answered(): void;
  refused(reason: RefusalReason): void;
}

/** How long a head may take from the connection, or from its first byte on one that is kept. */
export const HEAD_MS = 10_000;
/** How long a body may take from when it is wanted. */
export const BODY_MS = 30_000;
/** How long a connection is kept for the next request: longer than clients do. */
export const IDLE_MS = 120_000;
/** How long what is still sent is read after a refusal, which the client would not see else. */
export const LINGER_MS = 1_000;
/** Between two reads of that. */
const LINGER_PAUSE_MS = 10;

const CR = 0x0d;
const LF = 0x0a;

/** What is used of a `Deno.TcpConn`. */
export type ClientSocket = Pick<
  Deno.TcpConn,
  "read" | "write" | "setNoDelay" | "closeWrite" | "close"
>;

/** A request and what becomes of it. */
class Exchange {
  readonly head: RequestHead;
  /** Tells whoever makes the answer that it is in vain. */
  readonly ending = new AbortController();
  /** Resolves when the client is gone. */
  readonly lost = Promise.withResolvers<undefined>();

  constructor(head: RequestHead) {
    this.head = head;
  }

  /** Nobody is there any more for whom it could be answered. */
  abandon(): void {
    this.ending.abort(new NetworkError("CANCELLED", "Cancelled: the client went away."));
    this.lost.resolve(undefined);
  }
}

/** See the top of the file. */
export class HttpConnection {
  /** When it came, in milliseconds of the clock. */
  readonly since: number;
  readonly #conn: ClientSocket;
  readonly #host: ConnectionHost;
  readonly #inbox: Inbox;
  #cancelTimer: CancelTimer = () => {};
  /** The one that is being answered. */
  #exchange: Exchange | undefined;
  #isKnown = false;
  #isLast = false;
  #isClosed = false;

  constructor(conn: ClientSocket, host: ConnectionHost) {
    this.#conn = conn;
    this.#host = host;
    this.#inbox = new Inbox(conn);
    this.since = host.clock.now();
  }

  /** Serves the client until the connection is closed; never rejects. */
  async serve(): Promise<void> {
    this.#closeAfter(HEAD_MS, "slow");
    try {
      // A piece of an answer must not wait for the acknowledgement of the one before.
      this.#conn.setNoDelay(true);
      while (await this.#serveOne());
    } catch (thrown) {
      // Else the client is gone, or its answer has failed halfway.
      if (thrown instanceof HttpFault && !this.#isClosed) await this.#refuse(thrown);
    } finally {
      this.close();
    }
  }

  /** Ends it when what is being answered is answered; whoever makes that learns the reason. */
  end(reason: NetworkError): void {
    this.#isLast = true;
    if (this.#exchange === undefined) this.close();
    else this.#exchange.ending.abort(reason);
  }

  /** Closes it now. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTimer();
    this.#conn.close();
    this.#exchange?.abandon();
  }

  /** @returns Whether another request may follow. */
  async #serveOne(): Promise<boolean> {
    const head = await this.#readHead();
    if (head === undefined) return false;
    const exchange = new Exchange(head);
    const body = head.bodyLength === 0 ? undefined : this.#bodyOf(exchange);
    const request = this.#requestOf(head, body);
    const dismissal = this.#host.service.admit(request);
    if (dismissal !== undefined) {
      if (dismissal.ok) this.#host.answered();
      else this.#host.refused("not-admitted");
      await this.#write(dismissal, exchange, true);
      if (body?.skip() === false) await this.#linger();
      return false;
    }
    if (!this.#host.seat(this)) {
      throw new HttpFault(503, "too many others are being answered. Try again later.", 1_000);
    }
    this.#isKnown = true;
    this.#cancelTimer();
    this.#exchange = exchange;
    try {
      return await this.#serveKnown(request, body, exchange);
    } catch (thrown) {
      exchange.abandon();
      throw thrown;
    } finally {
      this.#exchange = undefined;
      this.#host.release(this);
    }
  }

  async #serveKnown(
    request: Request,
    body: RequestBody | undefined,
    exchange: Exchange,
  ): Promise<boolean> {
    if (body === undefined) void this.#watch(exchange);
    const response = await this.#answer(request, exchange);
    if (response === undefined) return false;
    this.#cancelTimer();
    if (body?.fault !== undefined) {
      void response.body?.cancel();
      throw body.fault;
    }
    const isUnread = body?.skip() === false;
    const isLast = this.#isLast || isUnread || !exchange.head.keepsAlive;
    await this.#write(response, exchange, isLast);
    this.#host.answered();
    // Whatever would have made a body has no other way to learn that none is wanted.
    if (exchange.head.method === "HEAD") exchange.abandon();
    if (isUnread) await this.#linger();
    return !isLast && !this.#isLast;
  }

  /** @returns Undefined when the client has no more to say. */
  async #readHead(): Promise<RequestHead | undefined> {
    const inbox = this.#inbox;
    let isTimed = !this.#isKnown;
    if (this.#isKnown) this.#closeAfter(IDLE_MS);
    for (let looked = 0, isBegun = false;;) {
      if (!isBegun && inbox.size >= 2) {
        isBegun = true;
        // Some clients send an empty line behind a body.
        if (inbox.bytes[0] === CR && inbox.bytes[1] === LF) inbox.drop(2);
      }
      const end = headEnd(inbox.bytes, looked);
      looked = inbox.size;
      if (end > MAX_HEAD_BYTES || (end === -1 && looked >= MAX_HEAD_BYTES)) {
        throw new HttpFault(431, `its head is longer than ${MAX_HEAD_BYTES} bytes.`);
      }
      if (end !== -1) {
        const head = parseHead(inbox.bytes.subarray(0, end));
        inbox.drop(end);
        return head;
      }
      if (!isTimed && looked > 0) {
        isTimed = true;
        this.#closeAfter(HEAD_MS, "slow");
      }
      if (!await inbox.fill()) return undefined;
    }
  }

  #requestOf({ method, target, headers }: RequestHead, body: RequestBody | undefined): Request {
    // A Request takes none for these, and nobody wants it.
    const isBodiless = method === "GET" || method === "HEAD";
    try {
      return new Request(this.#host.base + target, {
        method,
        headers,
        body: isBodiless ? undefined : body?.stream,
      });
    } catch {
      throw new HttpFault(400, "its path or its headers are none.");
    }
  }

  #bodyOf(exchange: Exchange): RequestBody {
    const { bodyLength, expectsContinue } = exchange.head;
    const body: RequestBody = new RequestBody(this.#inbox, bodyLength, {
      onWanted: async () => {
        const slow = new HttpFault(408, `its body has not come within ${BODY_MS / 1_000} s.`);
        this.#arm(BODY_MS, () => body.fail(slow));
        if (expectsContinue && this.#inbox.size === 0) await this.#conn.write(CONTINUE);
      },
      onComplete: () => {
        this.#cancelTimer();
        void this.#watch(exchange);
      },
    });
    return body;
  }

  /** Notices that the client goes away while it is being answered. */
  async #watch(exchange: Exchange): Promise<void> {
    // What it sends meanwhile is its next request; beyond a head it has to wait.
    while (this.#inbox.size < MAX_HEAD_BYTES) {
      const isOpen = await this.#inbox.fill();
      if (this.#exchange !== exchange) return;
      if (!isOpen) return this.close();
    }
  }

  /** @returns Undefined when the client is gone before there is an answer. */
  async #answer(request: Request, { ending, lost }: Exchange): Promise<Response | undefined> {
    const { service } = this.#host;
    const answer = (async () => await service.answer(request, ending.signal))()
      .catch((thrown) => service.fail(thrown));
    const response = await Promise.race([answer, lost.promise]);
    if (response === undefined) void answer.then((late) => late.body?.cancel());
    return response;
  }

  /** Tells what is wrong with a request that could not be read. */
  async #refuse(fault: HttpFault): Promise<void> {
    const { service, refused } = this.#host;
    refused(fault.status === 408 ? "slow" : fault.status === 503 ? "busy" : "malformed");
    try {
      await this.#write(service.refuse(fault), undefined, true);
      await this.#linger();
    } catch {
      // It has gone without waiting for that.
    }
  }

  async #write(
    response: Response,
    exchange: Exchange | undefined,
    closes: boolean,
  ): Promise<void> {
    const { clock, headers } = this.#host;
    await writeAnswer(response, {
      sink: this.#conn,
      clock,
      headers,
      method: exchange?.head.method ?? "GET",
      isHttp10: exchange?.head.isHttp10 ?? false,
      closes,
      lost: exchange?.lost.promise,
    });
  }

  /**
   * Reads what is still sent, for a moment. A connection that is closed over unread bytes is reset,
   * and with it the answer may be lost that the client has not read yet.
   */
  async #linger(): Promise<void> {
    this.#closeAfter(LINGER_MS);
    await this.#conn.closeWrite();
    for (;;) {
      this.#inbox.drop(this.#inbox.size);
      // Not as fast as it comes: those who flood would take the time that others need.
      await sleep(this.#host.clock, LINGER_PAUSE_MS);
      if (this.#isClosed || !await this.#inbox.fill()) return;
    }
  }

  #closeAfter(delayMs: number, reason?: RefusalReason): void {
    this.#arm(delayMs, () => {
      if (reason !== undefined) this.#host.refused(reason);
      this.close();
    });
  }

  #arm(delayMs: number, onExpire: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#host.clock.after(delayMs, onExpire);
  }
}
