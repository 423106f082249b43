/** What Anthropic's client does at each path of its API. */

import { assert, assertEquals } from "@std/assert";
import type Anthropic from "@anthropic-ai/sdk";
import { type Case, type CaseContext, CITY, PICTURE, type Route } from "./case.ts";

const client = "@anthropic-ai/sdk";
const HELLO: Anthropic.MessageParam[] = [{ role: "user", content: "say three words" }];
const HEARD = "You said: say three words";

type Body = Partial<Anthropic.MessageCreateParamsNonStreaming>;

async function ask({ rig, model }: CaseContext, body: Body = {}) {
  const asked = { model, max_tokens: 100, messages: HELLO, ...body };
  return await rig.anthropic().messages.create(asked);
}

function stream({ rig, model }: CaseContext, body: Body = {}) {
  const asked = { model, max_tokens: 100, messages: HELLO, ...body };
  return rig.anthropic().messages.stream({ ...asked, stream: true });
}

function tool(name: string): Anthropic.Tool {
  return { name, description: "Looks up", input_schema: { ...CITY, required: ["city"] } };
}

function saidIn({ content }: Anthropic.Message): unknown[] {
  return content.map((block) => {
    if (block.type === "text") return block.text;
    if (block.type === "tool_use") return [block.name, block.input];
    return block.type === "thinking" ? { thinking: block.thinking } : block.type;
  });
}

const TWO_CALLS = [["weather", { city: "Graz" }], ["clock", { city: "Graz" }]];
const PDF = [/document/, "no PDFs"] as const;

const MESSAGES: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run(context) {
      const message = await ask(context);
      assertEquals([saidIn(message), message.stop_reason], [[HEARD], "end_turn"]);
      assertEquals([message.usage.input_tokens, message.usage.output_tokens], [3, 5]);
      assertEquals(message.model, context.model);
    },
  },
  {
    feature: "streamed",
    client,
    async run(context) {
      const pieces: string[] = [];
      const running = stream(context).on("text", (piece) => pieces.push(piece));
      const message = await running.finalMessage();
      assertEquals([saidIn(message), message.usage.output_tokens], [[HEARD], 5]);
      assert(pieces.length > 2, "in pieces");
    },
  },
  {
    feature: "system prompts, several turns",
    client,
    async run(context) {
      const message = await ask(context, {
        system: [{ type: "text", text: "Pirate", cache_control: { type: "ephemeral" } }],
        messages: [
          { role: "user", content: "ahoy" },
          { role: "assistant", content: [{ type: "text", text: "arr" }] },
          { role: "user", content: [{ type: "text", text: "again" }] },
        ],
      });
      assertEquals(saidIn(message), ["Pirate: again"]);
    },
  },
  {
    feature: "tools, several at once",
    client,
    async run(context) {
      const message = await ask(context, { tools: [tool("weather"), tool("clock")] });
      assertEquals([saidIn(message), message.stop_reason], [TWO_CALLS, "tool_use"]);
    },
  },
  {
    feature: "tools, streamed",
    client,
    async run(context) {
      const tools = [tool("weather"), tool("clock")];
      const message = await stream(context, { tools }).finalMessage();
      assertEquals([saidIn(message), message.stop_reason], [TWO_CALLS, "tool_use"]);
    },
  },
  {
    feature: "results of tools",
    client,
    async run(context) {
      const message = await ask(context, {
        tools: [tool("weather")],
        messages: [
          ...HELLO,
          {
            role: "assistant",
            content: [{ type: "tool_use", id: "call_1", name: "weather", input: {} }],
          },
          {
            role: "user",
            content: [{ type: "tool_result", tool_use_id: "call_1", content: "sunny" }],
          },
        ],
      });
      assertEquals(saidIn(message), ["It is sunny"]);
    },
  },
  {
    feature: "an answer by a schema (`output_config.format`)",
    client,
    async run(context) {
      const message = await ask(context, {
        output_config: { format: { type: "json_schema", schema: { ...CITY } } },
      });
      assertEquals(saidIn(message), ['{"city":"Graz"}']);
      assertEquals(context.asked().body.response_format.json_schema.schema, CITY);
    },
  },
  {
    feature: "images",
    client,
    async run(context) {
      await ask(context, {
        messages: [{
          role: "user",
          content: [
            {
              type: "image",
              source: { type: "base64", media_type: "image/png", data: PICTURE },
            },
            { type: "text", text: "What is this?" },
          ],
        }],
      });
      const [{ content: [part] }] = context.asked().body.messages;
      assertEquals(part.image_url.url, `data:image/png;base64,${PICTURE}`);
    },
  },
  {
    feature: "`thinking`",
    client,
    note: { ollama: "if Ollama tells it in OpenAI's protocol", openai: "if the engine tells it" },
    async run(context) {
      const message = await ask(context, {
        thinking: { type: "enabled", budget_tokens: 1_024 },
        max_tokens: 2_048,
        messages: [{ role: "user", content: "think" }],
      });
      assertEquals(saidIn(message), [{ thinking: "Let me see" }, "You said: think"]);
    },
  },
  {
    feature: "`stop_sequences`",
    client,
    async run(context) {
      assertEquals(saidIn(await ask(context, { stop_sequences: [" three"] })), ["You said: say"]);
    },
  },
  {
    feature: "`max_tokens`",
    client,
    async run(context) {
      const message = await ask(context, { max_tokens: 2 });
      assertEquals([saidIn(message), message.stop_reason], [["You said:"], "max_tokens"]);
    },
  },
  {
    feature: "hosted tools (`web_search`, …)",
    client,
    note: { openai: "left out", ollama: "left out" },
    async run(context) {
      const tools = [{ type: "web_search_20250305" as const, name: "web_search" as const }];
      assertEquals(saidIn(await ask(context, { tools })), [HEARD]);
      assertEquals(context.asked().body.tools, undefined);
    },
  },
  {
    feature: "PDFs",
    client,
    refused: { openai: PDF, ollama: PDF },
    async run(context) {
      await ask(context, {
        messages: [{
          role: "user",
          content: [{
            type: "document",
            source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
          }],
        }],
      });
    },
  },
];

/** The routes. */
export const ANTHROPIC_ROUTES: Route[] = [
  { method: "POST", path: "/v1/messages", cases: MESSAGES },
  {
    method: "POST",
    path: "/v1/messages/count_tokens",
    cases: [{
      feature: "a count, estimated: a token for each four characters",
      client,
      async run({ rig, model }) {
        const { messages } = rig.anthropic();
        const body = { model, system: "Be short", messages: HELLO };
        // 8 and 15 characters.
        assertEquals((await messages.countTokens(body)).input_tokens, 6);
        const { input_tokens } = await messages.countTokens({ ...body, tools: [tool("weather")] });
        assert(input_tokens > 30, `${input_tokens} tokens with a tool`);
      },
    }],
  },
];
