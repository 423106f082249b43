/** Errors as OpenAI's clients know them. */

import type { ErrorCode } from "../../base/errors.ts";
import type { CallError, JsonObject, Refusal } from "../dialect.ts";
import { eventText } from "../events.ts";

interface Kind {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param?: string;
}

const failed = (status: number, code: string | null = null): Kind => ({
  status,
  type: "server_error",
  code,
});

/** Official clients ask again after 408, 409, 429 and 5xx: only where that may help. */
const KINDS: Readonly<Record<ErrorCode, Kind>> = {
  INVALID_ARGUMENT: { status: 400, type: "invalid_request_error", code: null },
  NOT_FOUND: {
    status: 404,
    type: "invalid_request_error",
    code: "model_not_found",
    param: "model",
  },
  PERMISSION_DENIED: { status: 403, type: "permission_error", code: "permission_denied" },
  RESOURCE_EXHAUSTED: { status: 429, type: "requests", code: "rate_limit_exceeded" },
  UNAVAILABLE: failed(503, "unavailable"),
  FAILED_PRECONDITION: failed(503, "unavailable"),
  DEADLINE_EXCEEDED: failed(504, "timeout"),
  UNKNOWN_OUTCOME: failed(502),
  PROTOCOL: failed(502),
  CANCELLED: { status: 499, type: "invalid_request_error", code: "cancelled" },
  NAME_CONFLICT: failed(500),
  PORT_IN_USE: failed(500),
  AGENT_FAILED: failed(500),
  INTERNAL: failed(500),
};

/** What OpenAI's API says about an error. */
export function openAiError({ code, message }: CallError): JsonObject {
  const { type, code: ownCode, param = null } = KINDS[code] ?? KINDS.INTERNAL;
  return { message, type, param, code: ownCode };
}

/** An error in place of an answer. */
export function refuseOpenAi(error: CallError): Refusal {
  const { status } = KINDS[error.code] ?? KINDS.INTERNAL;
  return { status, body: { error: openAiError(error) } };
}

/** An error in the middle of one: clients throw it as soon as they read it. */
export function breakOffOpenAi(error: CallError): string {
  return eventText({ error: openAiError(error) });
}
