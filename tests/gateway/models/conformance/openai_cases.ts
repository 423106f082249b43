/** What OpenAI's client does at each path of its API. */

import { assert, assertEquals } from "@std/assert";
import type OpenAI from "openai";
import { embeddingOf } from "../../../support/engines/test_model.ts";
import { AI_CHAT_CASES, AI_EMBEDDING_CASES } from "./ai_cases.ts";
import { type Case, type CaseContext, CITY, PICTURE, type Route } from "./case.ts";

const client = "openai";
const HELLO: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "say three words" }];
const HEARD = "You said: say three words";

function tool(name: string): OpenAI.ChatCompletionTool {
  return { type: "function", function: { name, description: "Looks up", parameters: CITY } };
}

type Asked = Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>;

async function chat({ rig, model }: CaseContext, body: Asked = {}) {
  return await rig.openai().chat.completions.create({ model, messages: HELLO, ...body });
}

function stream({ rig, model }: CaseContext, body: Asked = {}) {
  return rig.openai().chat.completions.stream({ model, messages: HELLO, ...body, stream: true });
}

/** The calls of a message: each name with its arguments. */
function callsOf({ tool_calls = [] }: OpenAI.ChatCompletionMessage) {
  return tool_calls.map((call) =>
    call.type === "function" ? [call.function.name, call.function.arguments] : call.type
  );
}

const TWO_CALLS = [["weather", '{"city":"Graz"}'], ["clock", '{"city":"Graz"}']];

const CHAT: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run(context) {
      const { choices: [{ message, finish_reason }], usage } = await chat(context);
      assertEquals([message.role, message.content, finish_reason], ["assistant", HEARD, "stop"]);
      assertEquals(usage, { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 });
    },
  },
  {
    feature: "streamed",
    client,
    async run(context) {
      const pieces: string[] = [];
      const running = stream(context).on("content", (piece) => pieces.push(piece));
      const { choices: [{ message, finish_reason }] } = await running.finalChatCompletion();
      assertEquals([message.content, finish_reason], [HEARD, "stop"]);
      assert(pieces.length > 2, "in pieces");
    },
  },
  {
    feature: "streamed, with what it took (`stream_options.include_usage`)",
    client,
    async run(context) {
      const options = { stream_options: { include_usage: true } } as unknown as Asked;
      const { usage } = await stream(context, options).finalChatCompletion();
      assertEquals(usage?.total_tokens, 8);
    },
  },
  {
    feature: "system and developer prompts, several turns",
    client,
    async run(context) {
      const { choices: [{ message }] } = await chat(context, {
        messages: [
          { role: "system", content: "Pirate" },
          { role: "user", content: "ahoy" },
          { role: "assistant", content: "arr" },
          { role: "user", content: "again" },
        ],
      });
      assertEquals(message.content, "Pirate: again");
      await chat(context, { messages: [{ role: "developer", content: "Be kind" }, ...HELLO] });
      assertEquals(context.asked().body.messages[0], { role: "developer", content: "Be kind" });
    },
  },
  {
    feature: "tools, several at once",
    client,
    async run(context) {
      const tools = [tool("weather"), tool("clock")];
      const { choices: [{ message, finish_reason }] } = await chat(context, { tools });
      assertEquals([callsOf(message), finish_reason], [TWO_CALLS, "tool_calls"]);
    },
  },
  {
    feature: "tools, streamed",
    client,
    async run(context) {
      const tools = [tool("weather"), tool("clock")];
      const final = await stream(context, { tools }).finalChatCompletion();
      const { message, finish_reason } = final.choices[0];
      assertEquals([callsOf(message), finish_reason], [TWO_CALLS, "tool_calls"]);
    },
  },
  {
    feature: "results of tools",
    client,
    async run(context) {
      const call = { id: "call_1", type: "function" as const };
      const { choices: [{ message }] } = await chat(context, {
        tools: [tool("weather")],
        tool_choice: "auto",
        messages: [
          ...HELLO,
          {
            role: "assistant",
            tool_calls: [{ ...call, function: { name: "weather", arguments: "{}" } }],
          },
          { role: "tool", tool_call_id: "call_1", content: "sunny" },
        ],
      });
      assertEquals(message.content, "It is sunny");
    },
  },
  {
    feature: "JSON mode",
    client,
    async run(context) {
      const { choices: [{ message }] } = await chat(context, {
        response_format: { type: "json_object" },
      });
      assertEquals(JSON.parse(message.content!), { city: "Graz" });
    },
  },
  {
    feature: "an answer by a schema",
    client,
    async run({ rig, model, asked }) {
      const format = {
        type: "json_schema" as const,
        json_schema: { name: "place", strict: true, schema: CITY },
      };
      const { choices: [{ message }] } = await rig.openai().chat.completions.parse({
        model,
        messages: HELLO,
        response_format: format,
      });
      assertEquals(JSON.parse(message.content!), { city: "Graz" });
      assertEquals(asked().body.response_format.json_schema.schema, CITY);
    },
  },
  {
    feature: "images",
    client,
    async run(context) {
      const { choices: [{ message }] } = await chat(context, {
        messages: [{
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: `data:image/png;base64,${PICTURE}` } },
          ],
        }],
      });
      assertEquals(message.content, "You said: What is this? [image_url]");
    },
  },
  {
    feature: "`stop`",
    client,
    async run(context) {
      const { choices: [{ message, finish_reason }] } = await chat(context, { stop: [" three"] });
      assertEquals([message.content, finish_reason], ["You said: say", "stop"]);
    },
  },
  {
    feature: "`max_tokens`, `max_completion_tokens`",
    client,
    async run(context) {
      for (const field of ["max_tokens", "max_completion_tokens"]) {
        const { choices: [{ message, finish_reason }] } = await chat(context, { [field]: 2 });
        assertEquals([message.content, finish_reason], ["You said:", "length"]);
      }
    },
  },
  {
    feature: "`n`",
    client,
    note: { ollama: "Ollama gives one" },
    async run(context) {
      const { choices } = await chat(context, { n: 2 });
      const texts = choices.map(({ message }) => message.content);
      assertEquals(texts, context.side === "openai" ? [HEARD, HEARD] : [HEARD]);
      assertEquals(context.asked().body.n, 2);
    },
  },
  {
    feature: "options that nobody here knows",
    client,
    async run(context) {
      await chat(context, { chat_template_kwargs: { x: [1.50] }, logit_bias: null } as Asked);
      const { chat_template_kwargs, logit_bias } = context.asked().body;
      assertEquals([chat_template_kwargs, logit_bias], [{ x: [1.5] }, null]);
    },
  },
];

const COMPLETIONS: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run({ rig, model }) {
      const { choices: [{ text, finish_reason }], usage } = await rig.openai().completions.create({
        model,
        prompt: "once upon",
      });
      assertEquals([text, finish_reason], ["You said: once upon", "stop"]);
      assertEquals(usage?.completion_tokens, 4);
    },
  },
  {
    feature: "streamed",
    client,
    async run({ rig, model }) {
      const pieces = [];
      const asked = { model, prompt: "once upon", stream: true as const };
      for await (const { choices } of await rig.openai().completions.create(asked)) {
        pieces.push(...choices.map(({ text }) => text));
      }
      assertEquals(pieces, ["You", " said:", " once", " upon", ""]);
    },
  },
  {
    feature: "`stop`, `max_tokens`",
    client,
    async run({ rig, model }) {
      const prompt = "once upon";
      const { completions } = rig.openai();
      const stopped = await completions.create({ model, prompt, stop: " upon" });
      assertEquals(stopped.choices[0].text, "You said: once");
      const cut = await completions.create({ model, prompt, max_tokens: 1 });
      assertEquals([cut.choices[0].text, cut.choices[0].finish_reason], ["You", "length"]);
    },
  },
];

const EMBEDDINGS: Case[] = [
  {
    feature: "one text (as Base64, which the client asks for)",
    client,
    async run({ rig, embedder }) {
      const { data, usage } = await rig.openai().embeddings.create({
        model: embedder,
        input: "one text",
      });
      assertEquals(data.map(({ embedding }) => embedding), [embeddingOf("one text", 8)]);
      assertEquals(usage.prompt_tokens, 2);
    },
  },
  {
    feature: "several texts, as numbers, `dimensions`",
    client,
    async run({ rig, embedder }) {
      const input = ["a", "b"];
      const { data } = await rig.openai().embeddings.create({
        model: embedder,
        input,
        dimensions: 4,
        encoding_format: "float",
      });
      assertEquals(data.map(({ embedding }) => embedding), input.map((one) => embeddingOf(one, 4)));
    },
  },
];

type ResponsesBody = Partial<OpenAI.Responses.ResponseCreateParamsNonStreaming>;

async function respond({ rig, model }: CaseContext, body: ResponsesBody = {}) {
  return await rig.openai().responses.create({ model, input: "say three words", ...body });
}

function functionTool(name: string): OpenAI.Responses.FunctionTool {
  return { type: "function", name, parameters: { ...CITY }, strict: true };
}

function calledIn({ output }: { output: OpenAI.Responses.ResponseOutputItem[] }) {
  return output.map((item) => item.type === "function_call" ? [item.name, item.arguments] : item);
}

const KEPT = "OpenAI keeps it";

const RESPONSES: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run(context) {
      const { output_text, status, usage } = await respond(context);
      assertEquals([output_text, status], [HEARD, "completed"]);
      assertEquals([usage?.input_tokens, usage?.output_tokens], [3, 5]);
    },
  },
  {
    feature: "streamed",
    client,
    async run({ rig, model }) {
      const pieces: string[] = [];
      const running = rig.openai().responses.stream({ model, input: "say three words" })
        .on("response.output_text.delta", ({ delta }) => pieces.push(delta));
      const { output_text, usage } = await running.finalResponse();
      assertEquals([output_text, usage?.output_tokens], [HEARD, 5]);
      assert(pieces.length > 2, "in pieces");
    },
  },
  {
    feature: "instructions, several turns",
    client,
    async run(context) {
      const { output_text } = await respond(context, {
        instructions: "Pirate",
        input: [
          { role: "user", content: "ahoy" },
          { role: "assistant", content: "arr" },
          { role: "user", content: [{ type: "input_text", text: "again" }] },
        ],
      });
      assertEquals(output_text, "Pirate: again");
    },
  },
  {
    feature: "tools, several at once",
    client,
    async run(context) {
      const tools = [functionTool("weather"), functionTool("clock")];
      assertEquals(calledIn(await respond(context, { tools })), TWO_CALLS);
    },
  },
  {
    feature: "tools, streamed",
    client,
    async run({ rig, model }) {
      const tools = [functionTool("weather"), functionTool("clock")];
      const running = rig.openai().responses.stream({ model, input: "x", tools });
      assertEquals(calledIn(await running.finalResponse()), TWO_CALLS);
    },
  },
  {
    feature: "results of tools",
    client,
    async run(context) {
      const { output_text } = await respond(context, {
        input: [
          { role: "user", content: "?" },
          { type: "function_call", call_id: "call_1", name: "weather", arguments: "{}" },
          { type: "function_call_output", call_id: "call_1", output: "sunny" },
        ],
      });
      assertEquals(output_text, "It is sunny");
    },
  },
  {
    feature: "an answer by a schema, JSON mode",
    client,
    async run(context) {
      for (
        const format of [
          { type: "json_schema" as const, name: "place", schema: { ...CITY }, strict: true },
          { type: "json_object" as const },
        ]
      ) {
        const { output_text } = await respond(context, { text: { format } });
        assertEquals(JSON.parse(output_text), { city: "Graz" });
        assertEquals(context.asked().body.response_format.type, format.type);
      }
    },
  },
  {
    feature: "images",
    client,
    async run(context) {
      const image_url = `data:image/png;base64,${PICTURE}`;
      await respond(context, {
        input: [{
          role: "user",
          content: [{ type: "input_image", detail: "auto", image_url }],
        }],
      });
      const [{ content: [part] }] = context.asked().body.messages;
      assertEquals([part.type, part.image_url.url], ["image_url", image_url]);
    },
  },
  {
    feature: "`max_output_tokens`",
    client,
    async run(context) {
      const { output_text, status, incomplete_details } = await respond(context, {
        max_output_tokens: 2,
      });
      assertEquals(
        [output_text, status, incomplete_details?.reason],
        ["You said:", "incomplete", "max_output_tokens"],
      );
    },
  },
  {
    feature: "hosted tools (`web_search`, …)",
    client,
    note: { openai: "left out", ollama: "left out" },
    async run(context) {
      const { output_text } = await respond(context, { tools: [{ type: "web_search" }] });
      assertEquals(output_text, HEARD);
      assertEquals(context.asked().body.tools, undefined);
    },
  },
  ...(["previous_response_id", "conversation", "background"] as const).map((field): Case => ({
    feature: `\`${field}\``,
    client,
    async run(context) {
      await respond(context, { [field]: field === "background" ? true : "resp_1" });
    },
    refused: {
      openai: [new RegExp(`${field} means something that OpenAI keeps`), KEPT],
      ollama: [new RegExp(`${field} means something that OpenAI keeps`), KEPT],
    },
  })),
];

/** The routes. */
export const OPENAI_ROUTES: Route[] = [
  { method: "POST", path: "/v1/chat/completions", cases: [...CHAT, ...AI_CHAT_CASES] },
  { method: "POST", path: "/v1/completions", cases: COMPLETIONS },
  { method: "POST", path: "/v1/embeddings", cases: [...EMBEDDINGS, ...AI_EMBEDDING_CASES] },
  { method: "POST", path: "/v1/responses", cases: RESPONSES },
];
