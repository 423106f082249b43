/** What a server of HTTP needs of whoever knows what its requests mean. */

import type { HttpFault } from "./fault.ts";

/** See the top of the file. */
export interface HttpService {
  /**
   * Judges a request before anything of its body is read.
   *
   * @returns What it is sent away with; undefined when it is let in, and its client with it.
   */
  admit(request: Request): Response | undefined;
  /**
   * Answers a request that was let in.
   *
   * @param ending Aborts when the client goes away, and when the server stops.
   */
  answer(request: Request, ending: AbortSignal): Response | Promise<Response>;
  /**
   * What a request is told that cannot be read, or for which there is no place.
   *
   * @param request Undefined where nothing of it is known.
   */
  refuse(fault: HttpFault, request?: Request): Response;
  /** What is told when {@linkcode HttpService.answer} throws. */
  fail(thrown: unknown): Response;
}
