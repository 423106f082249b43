/** What a server of HTTP needs of whoever knows what its requests mean. */

import type { HttpFault } from "./fault.ts";

/** A request, as far as anybody here looks at it. */
export interface HttpRequest {
  readonly method: string;
  /** Whole, with the address of this server. */
  readonly url: URL;
  readonly headers: Pick<Headers, "get" | "has">;
  /** Read once, and no faster than it is taken. It rejects when the request breaks off. */
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** An answer; the web's `Response` is one. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** Whole, or piece by piece; pieces that nobody takes any more are returned. */
  readonly body: string | AsyncGenerator<string, void, void> | ReadableStream<Uint8Array> | null;
}

/** See the top of the file. */
export interface HttpService {
  /**
   * Judges a request before anything of its body is read.
   *
   * @returns What it is sent away with; undefined when it is let in, and its client with it.
   */
  admit(request: HttpRequest): HttpAnswer | undefined;
  /**
   * Answers a request that was let in.
   *
   * @param ending Aborts when the client goes away, and when the server stops.
   */
  answer(request: HttpRequest, ending: AbortSignal): HttpAnswer | Promise<HttpAnswer>;
  /**
   * What a request is told that cannot be read, or for which there is no place.
   *
   * @param request Undefined where nothing of it is known.
   */
  refuse(fault: HttpFault, request?: HttpRequest): Response;
  /** What is told when {@linkcode HttpService.answer} throws. */
  fail(thrown: unknown): HttpAnswer;
}
