/** A client that goes away takes its call back: the engine stops, on whichever node it is. */

import { assert, assertEquals } from "@std/assert";
import { streamText } from "ai";
import { OllamaEngine } from "../../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { testModel } from "../../support/engines/test_model.ts";
import { eventually } from "../../support/eventually.ts";
import { soon } from "../../support/soon.ts";
import { ModelsRig } from "./models_rig.ts";

/** How long after its client has gone an engine may go on, in milliseconds. */
const MOST_MS = 100;
const messages = [{ role: "user" as const, content: "a long story" }];
const STORY = { text: "word ".repeat(10_000) };

/** Resolves when the client has heard something, and has gone. */
type Leaving = (rig: ModelsRig, model: string) => Promise<unknown>;

const STREAMS: Record<string, Leaving> = {
  "openai chat": async (rig, model) => {
    const stream = await rig.openai().chat.completions.create({ model, messages, stream: true });
    for await (const { choices } of stream) if (choices[0].delta.content) break;
  },
  "openai responses": async (rig, model) => {
    const stream = await rig.openai().responses.create({ model, input: "?", stream: true });
    for await (const { type } of stream) if (type === "response.output_text.delta") break;
  },
  anthropic: async (rig, model) => {
    const stream = rig.anthropic().messages.stream({ model, max_tokens: 99_999, messages });
    for await (const { type } of stream) if (type === "content_block_delta") break;
    stream.abort();
  },
  "ollama chat": async (rig, model) => {
    const client = rig.ollama();
    const stream = await client.chat({ model, messages, stream: true });
    for await (const { message } of stream) {
      if (message.content === "") continue;
      try {
        client.abort();
      } catch {
        // So it tells itself.
      }
      break;
    }
  },
  ai: async (rig, model) => {
    const leaving = new AbortController();
    const { textStream } = streamText({
      model: rig.ai()(model),
      messages,
      abortSignal: leaving.signal,
      maxRetries: 0,
      onError: () => {},
    });
    for await (const _ of textStream) {
      leaving.abort();
      break;
    }
  },
};

Deno.test("a client that goes away in the middle of a stream stops the engine", async (t) => {
  const options = { models: [testModel("slow")], reply: () => STORY, tokenMs: 10 };
  await using openai = await new OpenAiEngine(options).start();
  await using ollama = await new OllamaEngine({ ...options, models: [testModel("slow:8b")] })
    .start();
  await using rig = await ModelsRig.start({ there: [openai, ollama], models: 2 });
  const tookMs: number[] = [];
  for (const [model, engine] of [["slow", openai], ["slow:8b", ollama]] as const) {
    for (const [name, leave] of Object.entries(STREAMS)) {
      await t.step(`${model}: ${name}`, async () => {
        await leave(rig, model);
        const left = performance.now();
        const { outcome } = engine.requests.at(-1)!;
        assertEquals(await soon(outcome, "the engine's end"), "cancelled");
        tookMs.push(performance.now() - left);
      });
    }
  }
  // Of ten, the middle: a machine that is busy may be late once.
  const middle = tookMs.toSorted((a, b) => a - b)[tookMs.length >> 1];
  assert(middle <= MOST_MS, `${Math.round(middle)} ms, of ${tookMs.map(Math.round)}`);
});

Deno.test("a client that goes away before anything was said stops the engine, too", async (t) => {
  await using openai = await new OpenAiEngine({ models: [testModel("mute")] }).start();
  await using ollama = await new OllamaEngine({ models: [testModel("mute:8b")] }).start();
  await using rig = await ModelsRig.start({ there: [openai, ollama], models: 2 });
  for (const [model, engine] of [["mute", openai], ["mute:8b", ollama]] as const) {
    for (const path of ["/v1/chat/completions", "/v1/messages", "/api/chat"]) {
      for (const stream of [true, false]) {
        await t.step(`${model}: ${path}, ${stream ? "streamed" : "whole"}`, async () => {
          engine.nextFaults.push({ type: "stall", afterTokens: 0 });
          const before = engine.requests.length;
          const leaving = new AbortController();
          const body = { model, messages, stream, max_tokens: 9 };
          const asked = rig.post(path, body, { signal: leaving.signal }).catch(() => {});
          const calls = () => engine.requests.slice(before).filter(({ isCall }) => isCall);
          await eventually(() => calls().length === 1, { what: "the call" });
          leaving.abort();
          assertEquals(await soon(calls()[0].outcome, "the engine's end"), "cancelled");
          await asked;
          // It is nobody's fault, and nobody else is asked.
          assertEquals(calls().length, 1);
        });
      }
    }
    await t.step(`${model}: its device has not failed`, async () => {
      await rig.openai().chat.completions.create({ model, messages });
    });
  }
});
