/** Errors as OpenAI's clients know them. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../../base/errors.ts";
import type { CallError, JsonObject, Refusal } from "../dialect.ts";
import { eventText } from "../events.ts";
import { isObject } from "../fields.ts";
import { statusOf } from "../statuses.ts";

interface Kind {
  readonly type: string;
  readonly code: string | null;
  readonly param?: string;
}

/** What has another word than `server_error`, or more than that. */
const KINDS: Readonly<Partial<Record<ErrorCode, Kind>>> = {
  INVALID_ARGUMENT: { type: "invalid_request_error", code: null },
  NOT_FOUND: { type: "invalid_request_error", code: "model_not_found", param: "model" },
  PERMISSION_DENIED: { type: "permission_error", code: "permission_denied" },
  RESOURCE_EXHAUSTED: { type: "requests", code: "rate_limit_exceeded" },
  CANCELLED: { type: "invalid_request_error", code: "cancelled" },
  UNAVAILABLE: { type: "server_error", code: "unavailable" },
  FAILED_PRECONDITION: { type: "server_error", code: "unavailable" },
  DEADLINE_EXCEEDED: { type: "server_error", code: "timeout" },
};

/** What OpenAI's API says about an error. */
export function openAiError({ code: ours, message }: CallError): JsonObject {
  const { type, code, param = null } = KINDS[ours] ?? { type: "server_error", code: null };
  return { message, type, param, code };
}

/**
 * An error that OpenAI's API tells, as one of ours.
 *
 * @param otherwise What it is where it does not say.
 */
export function errorOfOpenAi(
  error: JsonValue | undefined,
  message: string,
  otherwise: ErrorCode,
): NetworkError {
  const { type, code } = isObject(error) ? error : { type: null, code: null };
  const known = Object.entries(KINDS) as [ErrorCode, Kind][];
  const found = known.find(([, kind]) => kind.code !== null && kind.code === code) ??
    known.find(([, kind]) => kind.code === null && kind.type === type);
  return new NetworkError(found?.[0] ?? otherwise, message);
}

/** An error in place of an answer. */
export function refuseOpenAi(error: CallError): Refusal {
  return { status: statusOf(error.code), body: { error: openAiError(error) } };
}

/** An error in the middle of one: clients throw it as soon as they read it. */
export function breakOffOpenAi(error: CallError): string {
  return eventText({ error: openAiError(error) });
}
