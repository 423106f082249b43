/** What is wrong with a request before anybody looks at what it asks for. */

import { type ErrorCode, NetworkError } from "../../base/errors.ts";

/** The statuses of a {@linkcode HttpFault}. */
export type FaultStatus = 400 | 408 | 414 | 417 | 431 | 501 | 503 | 505;

const CODES: Partial<Record<FaultStatus, ErrorCode>> = {
  408: "DEADLINE_EXCEEDED",
  503: "RESOURCE_EXHAUSTED",
};

/** See the top of the file. */
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
