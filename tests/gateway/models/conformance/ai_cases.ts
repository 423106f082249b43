/** What Vercel's AI SDK does, with its provider for servers of OpenAI's protocol. */

import { assert, assertEquals } from "@std/assert";
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { embeddingOf } from "../../../support/engines/test_model.ts";
import { type Case, CITY, PICTURE } from "./case.ts";

const client = "ai";
const prompt = "say three words";
const HEARD = "You said: say three words";

function tools() {
  const lookUp = tool({
    description: "Looks up",
    inputSchema: jsonSchema<{ city: string }>({ ...CITY }),
    execute: ({ city }) => `sunny in ${city}`,
  });
  return { weather: lookUp, clock: lookUp };
}

/** At `/v1/chat/completions`. */
export const AI_CHAT_CASES: Case[] = [
  {
    feature: "`generateText`, with what it took",
    client,
    async run({ rig, model }) {
      const { text, usage } = await generateText({
        model: rig.ai()(model),
        prompt,
        maxRetries: 0,
      });
      assertEquals([text, usage.inputTokens, usage.outputTokens], [HEARD, 3, 5]);
    },
  },
  {
    feature: "`streamText`, with what it took",
    client,
    async run({ rig, model }) {
      const { textStream, usage } = streamText({ model: rig.ai()(model), prompt, maxRetries: 0 });
      const pieces = await Array.fromAsync(textStream);
      assertEquals([pieces.join(""), (await usage).outputTokens], [HEARD, 5]);
      assert(pieces.length > 2, "in pieces");
    },
  },
  {
    feature: "tools, several at once, in steps",
    client,
    async run({ rig, model }) {
      const { text, steps } = await generateText({
        model: rig.ai()(model),
        prompt,
        tools: tools(),
        stopWhen: stepCountIs(2),
        maxRetries: 0,
      });
      assertEquals(steps[0].toolCalls.map(({ toolName }) => toolName), ["weather", "clock"]);
      assertEquals(text, "It is sunny in Graz");
    },
  },
  {
    feature: "tools, streamed, in steps",
    client,
    async run({ rig, model }) {
      const running = streamText({
        model: rig.ai()(model),
        prompt,
        tools: tools(),
        stopWhen: stepCountIs(2),
        maxRetries: 0,
      });
      assertEquals(await running.text, "It is sunny in Graz");
    },
  },
  {
    feature: "`Output.object`",
    client,
    async run({ rig, model, asked }) {
      const { output } = await generateText({
        model: rig.ai()(model),
        prompt,
        output: Output.object({ schema: jsonSchema<{ city: string }>({ ...CITY }) }),
        maxRetries: 0,
      });
      assertEquals(output, { city: "Graz" });
      assertEquals(asked().body.response_format.type, "json_schema");
    },
  },
  {
    feature: "images",
    client,
    async run({ rig, model, asked }) {
      await generateText({
        model: rig.ai()(model),
        maxRetries: 0,
        messages: [{
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "file", data: PICTURE, mediaType: "image/png" },
          ],
        }],
      });
      const [{ content: [, part] }] = asked().body.messages;
      assertEquals(part.image_url.url, `data:image/png;base64,${PICTURE}`);
    },
  },
];

/** At `/v1/embeddings`. */
export const AI_EMBEDDING_CASES: Case[] = [
  {
    feature: "`embedMany`",
    client,
    async run({ rig, embedder }) {
      const values = ["a", "b"];
      const { embeddings } = await embedMany({
        model: rig.ai().embeddingModel(embedder),
        values,
        maxRetries: 0,
      });
      assertEquals(embeddings, values.map((one) => embeddingOf(one, 8)));
    },
  },
];
