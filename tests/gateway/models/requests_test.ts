/** What is asked, and refused, in the words of each API: names, agents, strangers, broken requests. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { request } from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateText } from "ai";
import OpenAI from "openai";
import { createAgent } from "../../../src/agents/agent.ts";
import { OllamaEngine } from "../../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { embeddingModel, testModel } from "../../support/engines/test_model.ts";
import { soon } from "../../support/soon.ts";
import { ModelsRig, says, TOKEN } from "./models_rig.ts";

const messages = [{ role: "user" as const, content: "say words" }];

/** The body of a refusal, and its status. */
async function refusalOf(answer: Promise<Response>): Promise<[number, unknown]> {
  const response = await answer;
  return [response.status, await response.json()];
}

Deno.test("what is asked and cannot be had is said in the client's own words", async (t) => {
  await using vllm = await new OpenAiEngine({ models: [testModel("qwen3:8b")], reply: says })
    .start();
  await using ollama = await new OllamaEngine({
    models: [testModel("llama3.2:3b"), embeddingModel("nomic:latest")],
    reply: says,
  }).start();
  await using rig = await ModelsRig.start({
    here: [vllm, ollama],
    models: 3,
    aliases: { fast: ["gone", "llama3.2:3b"] },
  });
  const there = "There are: llama3.2:3b, nomic:latest, qwen3:8b.";

  await t.step("a model that nobody has: OpenAI's client", async () => {
    const { chat, responses, completions, embeddings } = rig.openai();
    for (
      const ask of [
        () => chat.completions.create({ model: "gone", messages }),
        () => chat.completions.create({ model: "gone", messages, stream: true }),
        () => responses.create({ model: "gone", input: "?" }),
        () => completions.create({ model: "gone", prompt: "?" }),
        () => embeddings.create({ model: "gone", input: "?" }),
      ]
    ) {
      const error = await assertRejects<InstanceType<typeof OpenAI.APIError>>(
        async () => void await ask(),
        OpenAI.NotFoundError,
      );
      assertEquals([error.code, error.param], ["model_not_found", "model"]);
      assertStringIncludes(error.message, `Cannot ask model "gone": no device`);
      assertStringIncludes(error.message, there);
    }
  });

  await t.step("a model that nobody has: Anthropic's client", async () => {
    const error = await assertRejects(
      async () =>
        void await rig.anthropic().messages.create({
          model: "gone",
          max_tokens: 9,
          messages,
        }),
      Anthropic.NotFoundError,
    );
    const { type, error: { type: kind, message } } = error.error as {
      type: string;
      error: { type: string; message: string };
    };
    assertEquals([type, kind], ["error", "not_found_error"]);
    assertStringIncludes(message, there);
  });

  await t.step("a model that nobody has: Ollama's client", async () => {
    for (
      const ask of [
        () => rig.ollama().chat({ model: "gone", messages }),
        () => rig.ollama().generate({ model: "gone", prompt: "?" }),
        () => rig.ollama().embed({ model: "gone", input: "?" }),
        () => rig.ollama().embeddings({ model: "gone", prompt: "?" }),
        () => rig.ollama().show({ model: "gone" }),
      ]
    ) {
      const error = await assertRejects(async () => void await ask(), Error, there);
      assertEquals((error as Error & { status_code: number }).status_code, 404);
    }
  });

  await t.step("a model that nobody has: the AI SDK", async () => {
    const error = await assertRejects(
      () => generateText({ model: rig.ai()("gone"), prompt: "?", maxRetries: 0 }),
      APICallError,
    );
    assertEquals([error.statusCode, error.isRetryable], [404, false]);
    assertStringIncludes(error.message, there);
  });

  await t.step("several names, aliases, families and the default", async () => {
    for (
      const [asked, answers] of [
        ["gone, qwen3:8b", "qwen3:8b"],
        ["fast", "llama3.2:3b"],
        ["llama3.2", "llama3.2:3b"],
        ["qwen3", "qwen3:8b"],
        ["openai/qwen3:8b", "qwen3:8b"],
      ]
    ) {
      const { model } = await rig.openai().chat.completions.create({ model: asked, messages });
      assertEquals(rig.answered?.headers.get("x-hanzo-model"), answers, asked);
      assertEquals(model, answers);
      // Of a translated answer the name is the one that was asked for.
      const message = await rig.anthropic().messages.create({
        model: asked,
        max_tokens: 9,
        messages,
      });
      assertEquals(message.model, asked);
    }
  });

  await t.step("one that is asked about is the one that a call would get", async () => {
    for (const asked of ["default", "gone, qwen3:8b", "llama3.2", "qwen3", "openai/qwen3:8b"]) {
      await rig.openai().chat.completions.create({ model: asked, messages });
      const answers = rig.answered!.headers.get("x-hanzo-model")!;
      assertEquals((await rig.openai().models.retrieve(asked)).id, answers, asked);
      assertEquals((await rig.anthropic().models.retrieve(asked)).id, answers, asked);
      const { details, model_info } = await rig.ollama().show({ model: asked });
      const told = await rig.ollama().show({ model: answers });
      assertEquals([details, model_info], [told.details, told.model_info], asked);
    }
    assertEquals((await rig.openai().models.retrieve("nomic")).id, "nomic:latest");
    // What the list has it has by that name.
    const { id, root } = await rig.openai().models.retrieve("fast") as {
      id: string;
      root?: string;
    };
    assertEquals([id, root], ["fast", "llama3.2:3b"]);
    for (const name of ["", "gone", "x".repeat(2_000), 5, null, ["llama3.2"]]) {
      const [status] = await refusalOf(rig.post("/api/show", { model: name }));
      assertEquals(status, 404, `${name}`);
    }
  });

  await t.step("a model as older clients of Ollama name it", async () => {
    for (const name of ["llama3.2:3b", "llama3.2", "qwen3"]) {
      const answer = await rig.post("/api/generate", { name, prompt: "x", stream: false });
      assertEquals([answer.status, (await answer.json()).response], [200, "You said: x"], name);
    }
  });

  await t.step(
    "a model that makes no embeddings is refused once, in the engine's words",
    async () => {
      const before = ollama.requests.length;
      const error = await assertRejects(
        () => rig.ollama().embed({ model: "llama3.2:3b", input: "?" }),
        Error,
        "this model does not support embeddings",
      );
      assertEquals((error as Error & { status_code: number }).status_code, 501);
      assertEquals(
        ollama.requests.slice(before).filter(({ method }) => method === "POST").length,
        1,
      );
      // Its device has not failed.
      await rig.ollama().chat({ model: "llama3.2:3b", messages });
    },
  );

  await t.step("what was answered to Responses is known by its id when it goes on", async () => {
    const { responses } = rig.openai();
    const ask = { model: "qwen3:8b", input: "say words" };
    const tools = [{ type: "function", name: "weather", parameters: {}, strict: false }] as const;
    const whole = await responses.create({ ...ask, tools: [...tools] });
    const pieces = await responses.stream({ ...ask, tools: [...tools] }).finalResponse();
    for (const { output: [call] } of [whole, pieces]) {
      assert(call.type === "function_call");
      const answered = await responses.create({
        model: "llama3.2:3b",
        input: [
          { role: "user", content: "?" },
          { type: "item_reference", id: call.id! },
          { type: "function_call_output", call_id: call.call_id, output: "sunny" },
        ],
      });
      assertEquals(answered.output_text, "It is sunny");
      const { messages: [, said] } = ollama.asked("/v1/chat/completions").at(-1)!.body;
      assertEquals(said.tool_calls[0].function, { name: "weather", arguments: '{"city":"Graz"}' });
    }
    // Where nothing is to be kept nothing is.
    const { output: [item] } = await responses.create({ ...ask, store: false });
    await assertRejects(
      () => responses.create({ ...ask, input: [{ type: "item_reference", id: `${item.id}` }] }),
      OpenAI.BadRequestError,
      "no such answer is kept here",
    );
  });

  await t.step("what is no request is refused as one", async () => {
    const bodies: [string, RegExp][] = [
      ["{", /JSON/],
      ["", /JSON/],
      ["[]", /no object of JSON/],
      ["null", /no object of JSON/],
      ["{}", /model is missing/],
      ['{"model":5}', /model is 5/],
      [`{"model":"qwen3:8b","x":${"[".repeat(200)}${"]".repeat(200)}}`, /deep/],
      ['{"model":"qwen3:8b"}', /messages is missing/],
      [JSON.stringify({ model: "m".repeat(2_000), messages }), /at most 1024 are taken/],
    ];
    for (const path of ["/v1/chat/completions", "/v1/messages", "/api/chat"]) {
      for (const [body, told] of bodies) {
        if (path === "/api/chat" && body === '{"model":"qwen3:8b"}') continue;
        const [status, refusal] = await refusalOf(rig.post(path, body));
        const message = path === "/api/chat"
          ? (refusal as { error: string }).error
          : (refusal as { error: { message: string } }).error.message;
        assertMatch(message, told, `${path} ${body.slice(0, 40)}`);
        assertEquals(status, 400, `${path} ${body.slice(0, 40)}`);
      }
    }
    assertEquals((await refusalOf(rig.post("/api/show", "{")))[0], 400);
    assertEquals((await refusalOf(rig.post("/v1/messages/count_tokens", "{")))[0], 400);
  });

  await t.step("a path that is none is said in the words of its API", async () => {
    for (const path of ["/api/pull", "/api/push", "/api/create", "/api/copy", "/api/nothing"]) {
      const [status, body] = await refusalOf(rig.post(path, { model: "x" }));
      assertEquals([status, Object.keys(body as object)], [404, ["error"]], path);
      assertMatch((body as { error: string }).error, /There is no POST \/api\/\w+ here/);
    }
    for (const path of ["/v1/audio/speech", "/v1/files", "/v1/chat"]) {
      const [status, body] = await refusalOf(rig.post(path, { model: "x" }));
      const { message, code, param } =
        (body as { error: { message: string; code: unknown; param: unknown } }).error;
      // It is no model that is missing.
      assertEquals([status, code, param], [404, null, null], path);
      assertMatch(message, /There is no POST/);
    }
    const [, unread] = await refusalOf(rig.fetch(`${rig.url}/v1/responses`));
    assertEquals((unread as { error: { code: unknown } }).error.code, null);
    const [status, body] = await refusalOf(rig.post("/v1/messages/batches", {}));
    assertEquals([status, (body as { type: string }).type], [404, "error"]);
    for (const name of ["gone", "go%2Fne", "%ff", "%"]) {
      const [missing, { error }] = await refusalOf(rig.fetch(`${rig.url}/v1/models/${name}`)) as [
        number,
        { error: { code: string } },
      ];
      assertEquals([missing, error.code], [404, "model_not_found"], name);
    }
    await assertRejects(() => rig.openai().models.retrieve("gone"), OpenAI.NotFoundError, there);
    const error = await assertRejects(
      () => rig.anthropic().models.retrieve("gone"),
      Anthropic.NotFoundError,
    );
    assertEquals((error.error as { type: string }).type, "error");
  });

  await t.step("more names than are looked at are refused", async () => {
    const model = Array.from({ length: 9 }, (_, i) => `gone-${i}`).join(",");
    const [status, told] = await refusalOf(rig.post("/v1/chat/completions", { model, messages }));
    assertEquals(status, 400);
    assertStringIncludes(JSON.stringify(told), "one of 9 models: at most 8 names are taken");
  });

  await t.step(
    "a page of a program of this machine may ask, and read what is answered",
    async () => {
      const origin = "app://obsidian.md";
      const preflight = await rig.fetch(`${rig.url}/v1/chat/completions`, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-type",
        },
      });
      const said = (response: Response, name: string) =>
        response.headers.get(`access-control-allow-${name}`);
      assertEquals(preflight.status, 204);
      assertEquals(said(preflight, "origin"), origin);
      assertEquals(said(preflight, "headers"), "authorization,content-type");
      assertMatch(said(preflight, "methods")!, /\bPOST\b/);
      const body = { model: "qwen3:8b", messages };
      for (const stream of [false, true]) {
        const headers = { origin };
        const answer = await rig.post("/v1/chat/completions", { ...body, stream }, { headers });
        assertEquals([answer.status, said(answer, "origin")], [200, origin]);
        await answer.text();
      }
      const lacking = await rig.post("/api/chat", { ...body, model: "gone" }, {
        headers: { origin },
      });
      assertEquals([lacking.status, said(lacking, "origin")], [404, origin]);
      await lacking.body?.cancel();
      // What does more than talk is not for pages, whatever they bear.
      const headers = { origin, authorization: `Bearer ${TOKEN}` };
      const control = await rig.fetch(`${rig.url}/control/v1/status`, { headers });
      assertEquals([control.status, said(control, "origin")], [403, null]);
      await control.body?.cancel();
      const plain = await rig.post("/v1/chat/completions", body);
      assertEquals(said(plain, "origin"), null);
      await plain.body?.cancel();
    },
  );

  await t.step("strangers are told nothing, and no engine is asked for them", async () => {
    const before = vllm.requests.length + ollama.requests.length;
    const body = JSON.stringify({ model: "qwen3:8b", messages });
    for (const path of ["/v1/chat/completions", "/v1/messages", "/api/chat"]) {
      const foreign = await refusalOf(
        rig.post(path, body, { headers: { origin: "https://evil.example" } }),
      );
      assertEquals(foreign[0], 403, path);
      assertEquals(await statusFor(rig.url, path, "evil.example", body), 403, path);
      assertEquals(await statusFor(rig.url, path, new URL(rig.url).host, body) < 500, true);
      const packed = rig.post(path, body, { headers: { "content-encoding": "gzip" } });
      const refused = await refusalOf(packed);
      assertEquals(refused[0], 415, path);
      // In the words of its API, so that clients show what it says.
      for (const [, body] of [foreign, refused]) {
        const { type, error } = body as { type?: string; error: string | Record<string, unknown> };
        const told = typeof error === "string" ? error : error.message;
        assertMatch(`${told}`, /^Refused: /, path);
        assertEquals(typeof error, path === "/api/chat" ? "string" : "object");
        assertEquals(type, path === "/v1/messages" ? "error" : undefined);
      }
    }
    await assertRejects(
      () => rig.ollama({ origin: "https://evil.example" }).list(),
      Error,
      "does not answer to other pages",
    );
    for (const path of ["/v1/models", "/api/tags"]) {
      const answer = rig.fetch(`${rig.url}${path}`, { headers: { origin: "null" } });
      assertEquals((await refusalOf(answer))[0], 403, path);
    }
    const asked = vllm.requests.length + ollama.requests.length - before;
    assert(asked <= 2, "only for those whose name was right");
  });
});

/** The status for who calls this node by another name, which `fetch` does not do. */
function statusFor(url: string, path: string, host: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", headers: { host, "content-type": "application/json" } };
    const asked = request(`${url}${path}`, { ...options, agent: false }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
    });
    asked.on("error", reject).end(body);
  });
}

Deno.test("who asks a network without any model is told how to get one", async () => {
  await using rig = await ModelsRig.start({ models: 0 });
  await assertRejects(
    () => rig.openai().chat.completions.create({ model: "gpt-5", messages }),
    OpenAI.NotFoundError,
    "None has any model: start Ollama, or another engine, on one of them.",
  );
  assertEquals((await rig.openai().models.list()).data, []);
  assertEquals((await rig.anthropic().models.list()).data, []);
  assertEquals(await rig.ollama().list(), { models: [] });
});

Deno.test("an agent runs on the node that the header names, and nowhere else", async () => {
  const where = createAgent({ name: "where", description: "", run: ({ nodeId }) => nodeId });
  const far = createAgent({ name: "far", description: "", run: () => "far away" });
  const [agents, agentsThere] = [[where], [where, far]];
  await using rig = await ModelsRig.start({ models: 0, agents, agentsThere });
  const at = (node: string) => ({ headers: { "x-hanzo-node": node } });
  for (const node of ["there", "here", "there"]) {
    const ask = { model: "agent/where", messages };
    const { choices } = await rig.openai(TOKEN).chat.completions.create(ask, at(node));
    assertEquals(choices[0].message.content, node);
    assertEquals(rig.answered?.headers.get("x-hanzo-node"), node);
  }
  const ask = { model: "agent/where", messages, max_tokens: 9 };
  const said = await rig.anthropic(TOKEN).messages.stream(ask, at("there")).finalMessage();
  assertEquals(said.content.map((one) => one.type === "text" && one.text), ["there"]);

  const lacking = { model: "agent/far", messages };
  const why = 'Cannot run agent "far" on "here": that node does not have it, and these do: there.';
  for (const stream of [false, true]) {
    await assertRejects(
      async () =>
        void await rig.openai(TOKEN).chat.completions.create({ ...lacking, stream }, at("here")),
      OpenAI.NotFoundError,
      why,
    );
  }
  await assertRejects(
    () => rig.anthropic(TOKEN).messages.create({ ...lacking, max_tokens: 9 }, at("here")),
    Anthropic.NotFoundError,
    "that node does not have it, and these do: there.",
  );
  const refused = await rig.post("/api/chat", lacking, {
    headers: { authorization: `Bearer ${TOKEN}`, ...at("here").headers },
  });
  assertEquals(refused.status, 404);
  assertStringIncludes((await refused.json()).error, why);
  await assertRejects(
    () => rig.openai(TOKEN).chat.completions.create(lacking, at("nowhere")),
    OpenAI.NotFoundError,
    'on "nowhere": no such node is here now',
  );
});

Deno.test("an agent of the network is a model for whoever has the token", async (t) => {
  const shout = createAgent({
    name: "shout",
    description: "Says it louder",
    run: ({ prompt, context }) => `${prompt.toUpperCase()}${context && ` (${context})`}`,
  });
  const count = createAgent({
    name: "count",
    description: "Counts",
    async *run({ prompt }) {
      yield "one ";
      if (prompt === "fail") throw new Error("lost count");
      yield "two";
    },
  });
  const sulk = createAgent({
    name: "sulk",
    description: "Says nothing",
    run: () => {
      throw new Error("not today");
    },
  });
  const left = Promise.withResolvers<unknown>();
  const wait = createAgent({
    name: "wait",
    description: "Waits until it is told to stop",
    async *run({ signal }) {
      yield "one ";
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      left.resolve(signal.reason);
    },
  });
  const think = createAgent({
    name: "think",
    description: "Says what it took",
    async *run() {
      yield "hm";
      return { output: "hm", usage: { inputTokens: 7, outputTokens: 3, modelCalls: 2 } };
    },
  });
  const agents = [shout, count, sulk, wait, think];
  await using rig = await ModelsRig.start({ models: 0, agents });

  await t.step("OpenAI's client", async () => {
    const { chat, responses } = rig.openai(TOKEN);
    const { choices: [{ message, finish_reason }] } = await chat.completions.create({
      model: "agent/shout",
      messages: [{ role: "system", content: "Be loud" }, ...messages],
    });
    assertEquals([message.content, finish_reason], ["SAY WORDS (system: Be loud)", "stop"]);
    assertEquals(rig.answered?.headers.get("x-hanzo-node"), "here");
    assertEquals(rig.answered?.headers.get("x-hanzo-model"), "agent/shout");
    const running = chat.completions.stream({ model: "agent/count", messages });
    const pieces: string[] = [];
    running.on("content", (piece) => pieces.push(piece));
    await running.finalChatCompletion();
    assertEquals(pieces, ["one ", "two"]);
    const { output_text } = await responses.create({ model: "agent/shout", input: "hello" });
    assertEquals(output_text, "HELLO");
    const stream = responses.stream({ model: "agent/count", input: "?" });
    const { output: [{ id }] } = await stream.finalResponse();
    const { output_text: next } = await responses.create({
      model: "agent/shout",
      input: [{ type: "item_reference", id: `${id}` }, { role: "user", content: "so?" }],
    });
    assertEquals(next, "SO? (assistant: one two)");
  });

  await t.step("Anthropic's client, whose key has a header of its own", async () => {
    const body = { model: "agent/count", max_tokens: 9, messages };
    const message = await rig.anthropic(TOKEN).messages.stream(body).finalMessage();
    assertEquals(message.content.map((one) => one.type === "text" && one.text), ["one two"]);
  });

  await t.step("Ollama's API, with the token in a header", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const answer = await rig.post("/api/chat", { model: "agent/shout", messages, stream: false }, {
      headers,
    });
    assertEquals((await answer.json()).message.content, "SAY WORDS");
  });

  await t.step("what its models took is told, whole and in pieces", async () => {
    const { chat, responses } = rig.openai(TOKEN);
    const ask = { model: "agent/think", messages };
    const took = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
    assertEquals((await chat.completions.create(ask)).usage, took);
    const stream_options = { include_usage: true };
    const running = chat.completions.stream({ ...ask, stream_options });
    assertEquals((await running.finalChatCompletion()).usage, took);
    const response = await responses.stream({ model: "agent/think", input: "?" }).finalResponse();
    assertEquals([response.usage?.input_tokens, response.usage?.output_tokens], [7, 3]);
    const body = { model: "agent/think", max_tokens: 9, messages };
    const { usage } = await rig.anthropic(TOKEN).messages.stream(body).finalMessage();
    assertEquals([usage.input_tokens, usage.output_tokens], [7, 3]);
    const none = await chat.completions.create({ model: "agent/shout", messages });
    assertEquals(none.usage, { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
  });

  await t.step("on the node that was asked for, or not at all", async () => {
    const create = (node: string, stream: boolean) =>
      rig.openai(TOKEN).chat.completions.create(
        { model: "agent/shout", messages, stream },
        { headers: { "x-hanzo-node": node } },
      );
    await create("here", false);
    for (const stream of [false, true]) {
      await assertRejects(() => create("nowhere", stream), OpenAI.NotFoundError, '"nowhere"');
    }
  });

  await t.step("without the token nobody is answered", async () => {
    for (const key of ["unused", `${TOKEN}x`]) {
      await assertRejects(
        () => rig.openai(key).chat.completions.create({ model: "agent/shout", messages }),
        OpenAI.PermissionDeniedError,
        'Give the content of the file "token"',
      );
    }
    const error = await assertRejects(
      () => rig.ollama().chat({ model: "agent/shout", messages }),
      Error,
    );
    assertEquals((error as Error & { status_code: number }).status_code, 403);
  });

  await t.step("an agent that fails: before it says anything, and in the middle", async () => {
    const { chat } = rig.openai(TOKEN);
    const ask = { model: "agent/sulk", messages };
    await assertRejects(() => chat.completions.create(ask), OpenAI.APIError, "not today");
    await assertRejects(
      async () => void await chat.completions.create({ ...ask, stream: true }),
      OpenAI.APIError,
      "not today",
    );
    const said: string[] = [];
    await assertRejects(
      () =>
        chat.completions.stream({
          model: "agent/count",
          messages: [{ role: "user", content: "fail" }],
        }).on("content", (piece) => said.push(piece)).finalChatCompletion(),
      OpenAI.APIError,
      "lost count",
    );
    assertEquals(said, ["one "]);
  });

  await t.step("who goes away stops the agent", async () => {
    const { chat } = rig.openai(TOKEN);
    const stream = await chat.completions.create({ model: "agent/wait", messages, stream: true });
    for await (const { choices } of stream) if (choices[0].delta.content) break;
    assertEquals((await soon(left.promise, "the agent's end") as Error).name, "NetworkError");
  });

  await t.step("an agent that nobody has, and one that is to make embeddings", async () => {
    const { chat, embeddings } = rig.openai(TOKEN);
    const error = await assertRejects(
      () => chat.completions.create({ model: "agent/gone", messages }),
      OpenAI.NotFoundError,
    );
    assertStringIncludes(error.message, "shout");
    await assertRejects(
      () => embeddings.create({ model: "agent/shout", input: "?" }),
      OpenAI.BadRequestError,
      "agents answer chats only",
    );
  });
});
