/**
 * An engine with the younger paths, as Ollama and LM Studio have them in their newer versions:
 * Anthropic's Messages and OpenAI's Responses, whole and in pieces.
 *
 * @module
 */

import type { Exchange } from "./engine_server.ts";
import { OpenAiEngine } from "./open_ai_engine.ts";

const USAGE = { input_tokens: 3, output_tokens: 2 };
const TOKENS = ["its", " own", " words"];

/** See the top of the file. What it says there no other engine says. */
export class YoungerEngine extends OpenAiEngine {
  protected override async answer(exchange: Exchange): Promise<void> {
    const { method, path, body } = exchange.recorded;
    const speak = method !== "POST" ? undefined : {
      "/v1/messages": messages,
      "/v1/responses": responses,
    }[path.split("?")[0]];
    if (speak === undefined) return await super.answer(exchange);
    if (body?.model === undefined) {
      return exchange.json({ type: "error", error: { type: "invalid_request_error" } }, 400);
    }
    await this.generate(exchange, () => speak(exchange));
  }
}

async function messages(exchange: Exchange): Promise<void> {
  const { model, stream } = exchange.recorded.body;
  const message = { id: "msg_own", type: "message", role: "assistant", model };
  const text = TOKENS.join("");
  if (!stream) {
    const content = [{ type: "text", text }];
    const stop = { stop_reason: "end_turn", stop_sequence: null };
    return exchange.json({ ...message, content, ...stop, usage: USAGE });
  }
  const { say, speak } = events(exchange);
  say("message_start", { message: { ...message, content: [], stop_reason: null, usage: USAGE } });
  say("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
  const isWhole = await speak((token) => {
    say("content_block_delta", { index: 0, delta: { type: "text_delta", text: token } });
  });
  if (!isWhole) return;
  say("content_block_stop", { index: 0 });
  say("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: USAGE });
  say("message_stop", {});
  exchange.end();
}

async function responses(exchange: Exchange): Promise<void> {
  const { model, stream } = exchange.recorded.body;
  const text = TOKENS.join("");
  const begun = { id: "resp_own", object: "response", created_at: 1, model, error: null };
  const part = { type: "output_text", text, annotations: [] };
  const item = { id: "item_own", type: "message", role: "assistant", status: "completed" };
  const done = {
    ...begun,
    status: "completed",
    output: [{ ...item, content: [part] }],
    usage: { ...USAGE, total_tokens: 5 },
  };
  if (!stream) return exchange.json(done);
  const { say, speak } = events(exchange);
  const at = { item_id: item.id, output_index: 0, content_index: 0 };
  say("response.created", { response: { ...begun, status: "in_progress", output: [] } });
  say("response.output_item.added", { output_index: 0, item: { ...item, content: [] } });
  say("response.content_part.added", { ...at, part: { ...part, text: "" } });
  const isWhole = await speak((delta) => say("response.output_text.delta", { ...at, delta }));
  if (!isWhole) return;
  say("response.output_text.done", { ...at, text });
  say("response.content_part.done", { ...at, part });
  say("response.output_item.done", { output_index: 0, item: done.output[0] });
  say("response.completed", { response: done });
  exchange.end();
}

function events(exchange: Exchange) {
  exchange.begin("text/event-stream");
  const say = (type: string, rest: object) =>
    exchange.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`);
  const speak = (onToken: (token: string) => void) =>
    exchange.speak(TOKENS, onToken, {
      malformed: (text) => exchange.write(`data: ${text}\n\n`),
      error: (message) => {
        say("error", { error: { type: "api_error", message } });
        exchange.end();
      },
    });
  return { say, speak };
}
