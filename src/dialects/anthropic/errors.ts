/** Errors as Anthropic's clients know them, and what is seen of its streams. */

import type { ErrorCode } from "../../base/errors.ts";
import type { CallError, JsonObject, Refusal } from "../dialect.ts";
import { eventText } from "../events.ts";
import { isObject } from "../fields.ts";
import { statusOf } from "../statuses.ts";
import type { Judge } from "../stream_watch.ts";

/** What has another word than `api_error`. */
const TYPES: Readonly<Partial<Record<ErrorCode, string>>> = {
  INVALID_ARGUMENT: "invalid_request_error",
  PERMISSION_DENIED: "permission_error",
  NOT_FOUND: "not_found_error",
  RESOURCE_EXHAUSTED: "overloaded_error",
  DEADLINE_EXCEEDED: "timeout_error",
};

/** Too many at a time for the server, not for the one who asks. */
const OVERLOADED = 529;

function bodyOf({ code, message }: CallError): JsonObject {
  return { type: "error", error: { type: TYPES[code] ?? "api_error", message } };
}

/** An error in place of an answer. */
export function refuseAnthropic(error: CallError): Refusal {
  const status = error.code === "RESOURCE_EXHAUSTED" ? OVERLOADED : statusOf(error.code);
  return { status, body: bodyOf(error) };
}

/** An error in the middle of one: clients throw it as soon as they read it. */
export function breakOffAnthropic(error: CallError): string {
  return eventText(bodyOf(error), "error");
}

/** Judges an event. */
export const judgeAnthropic: Judge = (piece, findings) => {
  const { type, delta, content_block, usage } = piece;
  switch (type) {
    case "content_block_start":
      // Of a text or a thought nothing is said yet.
      if (!isObject(content_block)) return;
      if (content_block.type !== "text" && content_block.type !== "thinking") findings.piece();
      return;
    case "content_block_delta": {
      if (!isObject(delta)) return;
      const { text, thinking, partial_json } = delta;
      if ([text, thinking, partial_json].some((one) => typeof one === "string" && one !== "")) {
        findings.piece();
      }
      return;
    }
    case "message_delta":
      if (isObject(delta) && typeof delta.stop_reason === "string") findings.hasSpoken = true;
      if (isObject(usage)) findings.counted(usage.output_tokens);
      return;
    case "message_stop":
      findings.isComplete = true;
  }
};
