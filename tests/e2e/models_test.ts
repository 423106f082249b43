/**
 * Official clients at the API of one process, the engines beside another one: mutual TLS between
 * them, all on the loopback.
 */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import type { NetworkModel } from "../../src/network/catalog.ts";
import { runningNodes } from "../../src/network/data_directory.ts";
import { OllamaEngine } from "../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { soon } from "../support/soon.ts";
import { withTempDir } from "../support/temp.ts";
import { wholeFetch } from "../support/whole_fetch.ts";

const messages = [{ role: "user" as const, content: "say these words" }];
const HEARD = "You said: say these words";

Deno.test("the models of another device answer official clients at this one", async (t) => {
  await using vllm = await new OpenAiEngine({ models: [testModel("qwen3:8b")], tokenMs: 2 })
    .start();
  await using ollama = await new OllamaEngine({ models: [testModel("llama3.2:3b")], tokenMs: 2 })
    .start();
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A", "--model-alias=fast=gone,llama3.2:3b");
    const { api } = await ready(a);
    await using b = machine.up("B", `--engine=${vllm.url}`, `--engine=${ollama.url}`);
    await ready(b);
    await peerEvent(a, "peer-joined", "B");
    await eventually(
      async () => (await machine.askJson<NetworkModel[]>("A", "models")).length === 2,
      {
        what: "two models",
      },
    );
    const openai = new OpenAI({ baseURL: `${api}/v1`, apiKey: "unused", maxRetries: 0 });
    const anthropic = new Anthropic({
      baseURL: api,
      apiKey: "unused",
      maxRetries: 0,
      logLevel: "off",
    });
    const client = new Ollama({ host: api, fetch: wholeFetch() });

    await t.step("who served is said in headers", async () => {
      const { data, response } = await openai.chat.completions.create({
        model: "qwen3:8b",
        messages,
      }).withResponse();
      assertEquals(data.choices[0].message.content, HEARD);
      const said = ["node", "model"].map((name) => response.headers.get(`x-hanzo-${name}`));
      assertEquals(said, ["B", "qwen3:8b"]);
    });

    await t.step("each client, streamed, in front of either engine", async () => {
      for (const model of ["qwen3", "fast"]) {
        const chat = await openai.chat.completions.stream({ model, messages })
          .finalChatCompletion();
        assertEquals(chat.choices[0].message.content, HEARD);
        const response = await openai.responses.stream({ model, input: "say these words" })
          .finalResponse();
        assertEquals(response.output_text, HEARD);
        const { content: [block] } = await anthropic.messages.stream({
          model,
          max_tokens: 99,
          messages,
        }).finalMessage();
        assertEquals(block.type === "text" && block.text, HEARD);
        const pieces = await Array.fromAsync(await client.chat({ model, messages, stream: true }));
        assertEquals(pieces.map(({ message }) => message.content).join(""), HEARD);
      }
    });

    await t.step("a client that goes away stops the engine of the other process", async () => {
      vllm.reply = () => ({ text: "word ".repeat(5_000) });
      const stream = await openai.chat.completions.create({
        model: "qwen3:8b",
        messages,
        stream: true,
      });
      for await (const { choices } of stream) if (choices[0].delta.content) break;
      const left = performance.now();
      assertEquals(await soon(vllm.requests.at(-1)!.outcome, "the engine's end"), "cancelled");
      const tookMs = performance.now() - left;
      assertEquals(tookMs < 1_000, true, `${tookMs} ms`);
    });

    await t.step("an agent needs the token of this node", async () => {
      const ask = { model: "agent/calculator", messages: [{ role: "user", content: "6*7" }] };
      const asked = ask as OpenAI.ChatCompletionCreateParamsNonStreaming;
      await assertRejects(
        () => openai.chat.completions.create(asked),
        OpenAI.PermissionDeniedError,
      );
      const { token } = (await runningNodes(directory)).find(({ nodeId }) => nodeId === "A")!;
      const { choices: [{ message }] } = await openai.withOptions({ apiKey: token }).chat
        .completions.create(asked);
      assertEquals(message.content, "42");
    });

    await t.step(
      "the other process is killed in the middle of a stream: an error, no hang",
      async () => {
        const heard: string[] = [];
        const running = assertRejects(async () => {
          const stream = await openai.chat.completions.create({
            model: "qwen3:8b",
            messages,
            stream: true,
          });
          for await (const { choices } of stream) {
            heard.push(choices[0].delta.content ?? "");
            if (heard.length === 3) b.kill("SIGKILL");
          }
        }, OpenAI.APIError);
        const { message } = await soon(running, "the client's error");
        assertStringIncludes(message, "was lost in the middle of it");
      },
    );
  });
});
