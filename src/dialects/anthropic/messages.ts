/** Anthropic's `/v1/messages`. */

import type { Dialect } from "../dialect.ts";
import { listOf, optional, readAsked, stringsOf } from "../fields.ts";
import { watchEvents } from "../stream_watch.ts";
import { type AnthropicForm, AnthropicPieces, wholeMessage } from "./answer.ts";
import { breakOffAnthropic, judgeAnthropic, refuseAnthropic } from "./errors.ts";
import { requestOf, wantsThoughts } from "./request.ts";

/** See the top of the file. */
export const anthropicMessages: Dialect = {
  name: "anthropic-messages",
  path: "/v1/messages",
  streamType: "text/event-stream",
  read(body) {
    const asked = readAsked(body, { streams: false });
    listOf(body.messages, "messages");
    return asked;
  },
  toChat(body, needs) {
    const request = requestOf(body);
    const form: AnthropicForm = {
      needs,
      wantsThoughts: wantsThoughts(body),
      stopSequences: optional(body.stop_sequences, "stop_sequences", stringsOf) ?? [],
    };
    return {
      request,
      whole: (completion) => wholeMessage(form, completion),
      pieces: () => new AnthropicPieces(form),
    };
  },
  watch: () => watchEvents(judgeAnthropic),
  refuse: refuseAnthropic,
  breakOff: breakOffAnthropic,
};
