/** What a server of HTTP needs of whoever knows what its requests mean. */

import { type ErrorCode, NetworkError } from "../../base/errors.ts";

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
  /** What a request is told that cannot be read. */
  refuse(fault: HttpFault): Response;
  /** What is told when {@linkcode HttpService.answer} throws. */
  fail(thrown: unknown): Response;
}

/** The statuses of a {@linkcode HttpFault}. */
export type FaultStatus = 400 | 408 | 431 | 503;

const CODES: Partial<Record<FaultStatus, ErrorCode>> = {
  408: "DEADLINE_EXCEEDED",
  503: "RESOURCE_EXHAUSTED",
};

/** What is wrong with a request before anybody looks at what it asks for. */
export class HttpFault extends NetworkError {
  /** What it is answered with. */
  readonly status: FaultStatus;

  /** @param reason What is wrong, and how to mend it. */
  constructor(status: FaultStatus, reason: string, retryAfterMs?: number) {
    const message = `Cannot read the request: ${reason}`;
    super(CODES[status] ?? "PROTOCOL", message, { retryAfterMs });
    this.name = "HttpFault";
    this.status = status;
  }
}
