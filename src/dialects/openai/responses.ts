/** OpenAI's `/v1/responses`. */

import type { Dialect } from "../dialect.ts";
import { isObject, readAsked, wrongField } from "../fields.ts";
import { type Judge, watchEvents } from "../stream_watch.ts";
import { refuseOpenAi } from "./errors.ts";
import { errorEvent, ResponseSoFar } from "./response_so_far.ts";
import { type ResponseForm, seconds, wholeResponse } from "./responses_answer.ts";
import { ResponsePieces } from "./responses_pieces.ts";
import { requestOf } from "./responses_request.ts";

/** See the top of the file. Nothing of an answer is kept. */
export const openAiResponses: Dialect = {
  name: "openai-responses",
  path: "/v1/responses",
  streamType: "text/event-stream",
  read(body) {
    const asked = readAsked(body, { streams: false });
    const { input } = body;
    if (typeof input !== "string" && !Array.isArray(input)) {
      throw wrongField("input", input, "a text, or a list of items");
    }
    return asked;
  },
  toChat(body, needs) {
    const { request, tools } = requestOf(body);
    const form: ResponseForm = {
      needs,
      body,
      tools,
      id: `resp_${needs.newId()}`,
      createdAt: seconds(needs.now()),
    };
    return {
      request,
      whole: (completion) => wholeResponse(form, completion),
      pieces: () => new ResponsePieces(form),
    };
  },
  watch: () => watchEvents(judgeResponse),
  refuse: refuseOpenAi,
  breakOff: (error) => errorEvent(error, 0),
  follow: () => new ResponseSoFar(),
};

const judgeResponse: Judge = ({ type, item, delta, response }, findings) => {
  switch (type) {
    case "response.output_item.added":
      // Of a text or a thought nothing is said yet.
      if (isObject(item) && item.type !== "message" && item.type !== "reasoning") findings.piece();
      return;
    case "response.completed":
    case "response.incomplete":
    case "response.failed": {
      findings.isComplete = true;
      if (!isObject(response)) return;
      if (isObject(response.usage)) findings.counted(response.usage.output_tokens);
      if (type !== "response.failed") findings.hasSpoken = true;
      else findings.wrong(failureIn(response.error));
      return;
    }
    default:
      if (typeof type === "string" && type.endsWith(".delta") && delta !== "") findings.piece();
  }
};

function failureIn(error: unknown): string {
  const message = isObject(error) ? error.message : undefined;
  return typeof message === "string" && message !== ""
    ? message
    : "the engine says that the response has failed, and not why";
}
