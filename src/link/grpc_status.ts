/** How errors are told over gRPC, and what others tell. */

import type { ErrorCode, NetworkError } from "../base/errors.ts";
import { safeLine } from "../base/safe_text.ts";

// Numbers of `grpc.status`, so that this file does not load gRPC.
const STATUS: Readonly<Record<ErrorCode, number>> = {
  CANCELLED: 1,
  // Libraries repeat by themselves what is UNAVAILABLE or ABORTED: these may have done their work.
  UNKNOWN_OUTCOME: 2,
  AGENT_FAILED: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  NAME_CONFLICT: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  PORT_IN_USE: 13,
  PROTOCOL: 13,
  INTERNAL: 13,
  UNAVAILABLE: 14,
};

/** Names of the trailers that say more than gRPC's own code. */
export const CODE_TRAILER = "hanzo-code";
/** In milliseconds. */
export const RETRY_TRAILER = "hanzo-retry-after-ms";

/**
 * The longest message in UTF-16 units: percent-encoded it takes up to nine bytes for each, and
 * gRPC's client in C takes 8 KiB of trailers in all.
 */
const MAX_DETAILS_LENGTH = 800;

/** gRPC's code for one of ours. */
export function grpcCode(code: ErrorCode): number {
  return STATUS[code];
}

/** What gRPC tells: for the end of a call, without its trailers. */
export function detailsOf({ message }: NetworkError): string {
  const line = safeLine(message);
  return line.length <= MAX_DETAILS_LENGTH ? line : `${line.slice(0, MAX_DETAILS_LENGTH - 1)}…`;
}

/** The trailers of an error, by name. */
export function trailersOf({ code, retryAfterMs }: NetworkError): Record<string, string> {
  return {
    [CODE_TRAILER]: code,
    ...(retryAfterMs !== undefined && { [RETRY_TRAILER]: `${Math.ceil(retryAfterMs)}` }),
  };
}
