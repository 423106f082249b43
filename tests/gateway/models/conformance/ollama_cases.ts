/** What Ollama's client does at each path of its API. */

import { assert, assertEquals } from "@std/assert";
import type { ChatRequest, ChatResponse, GenerateRequest, Tool } from "ollama";
import { embeddingOf } from "../../../support/engines/test_model.ts";
import { type Case, type CaseContext, CITY, PICTURE, type Route } from "./case.ts";

const client = "ollama";
const HELLO = [{ role: "user", content: "say three words" }];
const HEARD = "You said: say three words";

async function chat({ rig, model }: CaseContext, body: Partial<ChatRequest> = {}) {
  return await rig.ollama().chat({ model, messages: HELLO, ...body, stream: false });
}

async function streamed({ rig, model }: CaseContext, body: Partial<ChatRequest> = {}) {
  const asked = { model, messages: HELLO, ...body, stream: true as const };
  return await Array.fromAsync(await rig.ollama().chat(asked));
}

async function generate({ rig, model }: CaseContext, body: Partial<GenerateRequest> = {}) {
  const asked = { model, prompt: "once upon", ...body, stream: false as const };
  return await rig.ollama().generate(asked);
}

function tool(name: string): Tool {
  const parameters = { ...CITY, required: ["city"] };
  return { type: "function", function: { name, description: "Looks up", parameters } };
}

function callsOf(pieces: readonly ChatResponse[]) {
  return pieces.flatMap(({ message: { tool_calls = [] } }) => tool_calls)
    .map(({ function: { name, arguments: given } }) => [name, given]);
}

const textOf = (pieces: readonly ChatResponse[]) =>
  pieces.map(({ message }) => message.content).join("");

const TWO_CALLS = [["weather", { city: "Graz" }], ["clock", { city: "Graz" }]];

const CHAT: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run(context) {
      const { message, done, done_reason, prompt_eval_count, eval_count, total_duration } =
        await chat(context);
      assertEquals([message.role, message.content], ["assistant", HEARD]);
      assertEquals([done, done_reason, prompt_eval_count, eval_count], [true, "stop", 3, 5]);
      assert(total_duration > 0, "a duration");
    },
  },
  {
    feature: "streamed",
    client,
    async run(context) {
      const pieces = await streamed(context);
      assertEquals([textOf(pieces), pieces.at(-1)?.eval_count], [HEARD, 5]);
      assert(pieces.length > 3, "in pieces");
    },
  },
  {
    feature: "system prompts, several turns",
    client,
    async run(context) {
      const { message } = await chat(context, {
        messages: [
          { role: "system", content: "Pirate" },
          { role: "user", content: "ahoy" },
          { role: "assistant", content: "arr" },
          { role: "user", content: "again" },
        ],
      });
      assertEquals(message.content, "Pirate: again");
    },
  },
  {
    feature: "tools, several at once",
    client,
    async run(context) {
      const tools = [tool("weather"), tool("clock")];
      assertEquals(callsOf([await chat(context, { tools })]), TWO_CALLS);
    },
  },
  {
    feature: "tools, streamed",
    client,
    async run(context) {
      const tools = [tool("weather"), tool("clock")];
      assertEquals(callsOf(await streamed(context, { tools })), TWO_CALLS);
    },
  },
  {
    feature: "results of tools",
    client,
    async run(context) {
      const { message } = await chat(context, {
        tools: [tool("weather")],
        messages: [
          ...HELLO,
          {
            role: "assistant",
            content: "",
            tool_calls: [{ function: { name: "weather", arguments: { city: "Graz" } } }],
          },
          { role: "tool", tool_name: "weather", content: "sunny" },
        ],
      });
      assertEquals(message.content, "It is sunny");
    },
  },
  {
    feature: "JSON mode, and an answer by a schema (`format`)",
    client,
    async run(context) {
      for (const format of ["json", { ...CITY }]) {
        const { message } = await chat(context, { format });
        assertEquals(JSON.parse(message.content), { city: "Graz" });
      }
    },
  },
  {
    feature: "images",
    client,
    async run(context) {
      const content = "What is this?";
      await chat(context, { messages: [{ role: "user", content, images: [PICTURE] }] });
      assert(JSON.stringify(context.asked().body.messages[0]).includes(PICTURE), "the picture");
    },
  },
  {
    feature: "`think`",
    client,
    async run(context) {
      const messages = [{ role: "user", content: "think" }];
      const { message } = await chat(context, { messages, think: true });
      assertEquals([message.thinking, message.content], ["Let me see", "You said: think"]);
      const pieces = await streamed(context, { messages, think: true });
      assertEquals(pieces.map(({ message }) => message.thinking ?? "").join(""), "Let me see");
    },
  },
  {
    feature: "`options.stop`, `options.num_predict`",
    client,
    async run(context) {
      const stopped = await chat(context, { options: { stop: [" three"] } });
      assertEquals([stopped.message.content, stopped.done_reason], ["You said: say", "stop"]);
      const cut = await chat(context, { options: { num_predict: 2 } });
      assertEquals([cut.message.content, cut.done_reason], ["You said:", "length"]);
    },
  },
  {
    feature: "`options.num_ctx`, `keep_alive` and what else is Ollama's own",
    client,
    note: { openai: "left out" },
    async run(context) {
      await chat(context, { options: { num_ctx: 8_192, seed: 7 }, keep_alive: "5m" });
      const { options, keep_alive, seed } = context.asked().body;
      assertEquals(
        [options, keep_alive, seed],
        context.side === "ollama"
          ? [{ num_ctx: 8_192, seed: 7 }, "5m", undefined]
          : [undefined, undefined, 7],
      );
    },
  },
  {
    feature: "reading a model into memory (no messages)",
    client,
    async run(context) {
      const { done, done_reason } = await chat(context, { messages: [] });
      assertEquals([done, done_reason], [true, "load"]);
    },
  },
];

const OWN = "only an Ollama can";
const GENERATE: Case[] = [
  {
    feature: "an answer, and what it took",
    client,
    async run(context) {
      const { response, done, eval_count } = await generate(context);
      assertEquals([response, done, eval_count], ["You said: once upon", true, 4]);
    },
  },
  {
    feature: "streamed",
    client,
    async run({ rig, model }) {
      const asked = { model, prompt: "once upon", stream: true as const };
      const pieces = await Array.fromAsync(await rig.ollama().generate(asked));
      assertEquals(pieces.map(({ response }) => response).join(""), "You said: once upon");
      assertEquals([pieces.length > 3, pieces.at(-1)?.done], [true, true]);
    },
  },
  {
    feature: "`system`, `options.stop`",
    client,
    async run(context) {
      const { response } = await generate(context, {
        system: "Pirate",
        options: { stop: [" upon"] },
      });
      assertEquals(response, "Pirate: once");
    },
  },
  {
    feature: "JSON mode, and an answer by a schema (`format`)",
    client,
    async run(context) {
      for (const format of ["json", { ...CITY }]) {
        const { response = "" } = await generate(context, { format });
        assertEquals(JSON.parse(response), { city: "Graz" });
      }
    },
  },
  {
    feature: "images",
    client,
    async run(context) {
      await generate(context, { images: [PICTURE] });
      assert(JSON.stringify(context.asked().body).includes(PICTURE), "the picture");
    },
  },
  {
    feature: "reading a model into memory (no prompt)",
    client,
    async run(context) {
      assertEquals((await generate(context, { prompt: "" })).done, true);
    },
  },
  ...([["raw", true], ["suffix", "end"], ["template", "{{ .Prompt }}"]] as const).map((
    [field, value],
  ): Case => ({
    feature: `\`${field}\``,
    client,
    refused: { openai: [new RegExp(`${field} cannot be said in a chat`), OWN] },
    async run(context) {
      await generate(context, { [field]: value });
      assertEquals(context.asked().body[field], value);
    },
  })),
];

const EMBED: Case[] = [
  {
    feature: "one text, several texts, `dimensions`",
    client,
    async run({ rig, embedder: model }) {
      const one = await rig.ollama().embed({ model, input: "one text" });
      assertEquals([one.embeddings, one.prompt_eval_count], [[embeddingOf("one text", 8)], 2]);
      const { embeddings } = await rig.ollama().embed({
        model,
        input: ["a", "b"],
        dimensions: 4,
      });
      assertEquals(embeddings, [embeddingOf("a", 4), embeddingOf("b", 4)]);
    },
  },
];

const EMBEDDINGS: Case[] = [{
  feature: "one text",
  client,
  async run({ rig, embedder: model }) {
    const { embedding } = await rig.ollama().embeddings({ model, prompt: "one text" });
    assertEquals(embedding, embeddingOf("one text", 8));
  },
}];

/** The routes. */
export const OLLAMA_ROUTES: Route[] = [
  { method: "POST", path: "/api/chat", cases: CHAT },
  { method: "POST", path: "/api/generate", cases: GENERATE },
  { method: "POST", path: "/api/embed", cases: EMBED },
  { method: "POST", path: "/api/embeddings", cases: EMBEDDINGS },
];
