/** Which status of HTTP an error has where a dialect has no other. */

import type { ErrorCode } from "../base/errors.ts";

/** Official clients ask again after 408, 409, 429 and 5xx: only where that may help. */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  NAME_CONFLICT: 500,
  PORT_IN_USE: 500,
  AGENT_FAILED: 500,
  INTERNAL: 500,
  UNKNOWN_OUTCOME: 502,
  PROTOCOL: 502,
  UNAVAILABLE: 503,
  FAILED_PRECONDITION: 503,
  DEADLINE_EXCEEDED: 504,
};

/** The status of an error. */
export function statusOf(code: ErrorCode): number {
  return STATUSES[code] ?? 500;
}
