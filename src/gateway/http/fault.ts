/** What is wrong with a request before anybody looks at what it asks for, and how that is told. */

import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import { type ErrorCode, NetworkError } from "../../base/errors.ts";

/** The statuses of a {@linkcode HttpFault}. */
export type FaultStatus = 400 | 408 | 431 | 503;

/** The longest head: request line and headers. */
export const MAX_HEAD_BYTES = 16_384;

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

/**
 * What the error of a connection says about the request on it.
 *
 * @param code Of Node's error.
 * @returns Undefined when it says nothing: the client is gone.
 */
export function faultOf(code = ""): HttpFault | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new HttpFault(408, "it did not come in time.");
  if (code === "HPE_HEADER_OVERFLOW") {
    return new HttpFault(431, `its head is longer than ${MAX_HEAD_BYTES} bytes.`);
  }
  return code.startsWith("HPE_") ? new HttpFault(400, "it is no HTTP/1.1.") : undefined;
}

/** A response as the bytes that go out, behind which the connection is closed. */
export async function bytesOf(response: Response): Promise<Uint8Array> {
  const body = await response.bytes();
  const lines = [
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status]}`,
    ...Array.from(response.headers, ([name, value]) => `${name}: ${value}`),
    `content-length: ${body.length}`,
    "connection: close",
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
}
