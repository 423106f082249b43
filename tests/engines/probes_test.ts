/** What is read of each kind of engine, from servers that answer as these do. */

import { assertEquals } from "@std/assert";
import type { EngineWatch } from "../../src/engines/engine_watch.ts";
import type { EngineRequest } from "../../src/engines/http.ts";
import type { ModelDescription } from "../../src/engines/model.ts";
import { knownPlace, parseEngine } from "../../src/engines/place.ts";
import { OllamaEngine } from "../support/engines/ollama_engine.ts";
import { OpenAiEngine, type OpenAiFlavour } from "../support/engines/open_ai_engine.ts";
import { embeddingModel, testModel } from "../support/engines/test_model.ts";
import { ScriptedEngine, watchRig } from "./rig.ts";

/** Looks once at an engine, as it is found on its usual port or named by its URL. */
async function lookAt(
  engine: OpenAiEngine | OllamaEngine,
  usual?: "ollama" | OpenAiFlavour,
): Promise<EngineWatch> {
  const place = usual === undefined ? parseEngine(engine.url) : knownPlace([engine.port, usual]);
  const { watch } = watchRig([place]);
  await watch.look();
  await watch.stop();
  return watch;
}

const UNKNOWN: Omit<ModelDescription, "name" | "engine"> = {
  sizeBytes: null,
  parameters: null,
  contextLength: null,
  quantization: null,
  capabilities: ["chat"],
  loaded: true,
  lastResort: false,
};

for (const usual of ["ollama", undefined] as const) {
  Deno.test(`an Ollama ${usual ? "on its port" : "that is named"} says all of its models`, async () => {
    await using engine = await new OllamaEngine({
      models: [
        testModel("llama3.2:latest", { loaded: false }),
        testModel("qwen2.5vl:7b", { capabilities: ["completion", "vision"], family: "qwen25vl" }),
        embeddingModel("nomic-embed-text:latest", { loaded: false }),
        testModel("gpt-oss:120b-cloud", { remoteHost: "https://ollama.com:443" }),
      ],
    }).start();
    const watch = await lookAt(engine, usual);

    const big = {
      engine: "ollama" as const,
      sizeBytes: 2_019_393_189,
      parameters: 3_212_749_888,
      contextLength: 131_072,
      quantization: "Q4_K_M",
      lastResort: false,
    };
    assertEquals(watch.models(), [
      {
        ...big,
        name: "qwen2.5vl:7b",
        capabilities: ["chat", "vision"],
        loaded: true,
        // What it was loaded with: what is too long for that is cut off without a word.
        contextLength: 4_096,
      },
      { ...big, name: "llama3.2:latest", capabilities: ["chat", "tools"], loaded: false },
      {
        ...big,
        name: "nomic-embed-text:latest",
        sizeBytes: 274_302_450,
        parameters: 136_727_040,
        contextLength: 2_048,
        quantization: "F16",
        capabilities: ["embeddings"],
        loaded: false,
      },
    ]);
    const [{ kind, version, note }] = watch.engines();
    assertEquals([kind, version], ["ollama", "0.12.3"]);
    assertEquals(note, "1 of its models run in the cloud and are left out");
  });
}

Deno.test("an Ollama that has no models yet is known for what it is", async () => {
  await using engine = await new OllamaEngine({ models: [] }).start();
  const watch = await lookAt(engine);
  assertEquals([watch.engines()[0].kind, watch.models()], ["ollama", []]);
});

Deno.test("LM Studio says what is loaded, how long its context is and what sees", async () => {
  await using engine = await new OpenAiEngine({
    flavour: "lm-studio",
    models: [
      testModel("qwen3-8b", { contextLength: 40_960 }),
      testModel("gemma-3-4b", { capabilities: ["completion", "vision"], loaded: false }),
      embeddingModel("text-embedding-nomic-embed-text-v1.5", { loaded: false }),
    ],
  }).start();
  const expected: ModelDescription[] = [
    {
      ...UNKNOWN,
      name: "qwen3-8b",
      engine: "lm-studio",
      contextLength: 4_096,
      quantization: "Q4_K_M",
      capabilities: ["chat", "tools"],
    },
    {
      ...UNKNOWN,
      name: "gemma-3-4b",
      engine: "lm-studio",
      contextLength: 131_072,
      quantization: "Q4_K_M",
      capabilities: ["chat", "vision"],
      loaded: false,
    },
    {
      ...UNKNOWN,
      name: "text-embedding-nomic-embed-text-v1.5",
      engine: "lm-studio",
      contextLength: 2_048,
      quantization: "F16",
      capabilities: ["embeddings"],
      loaded: false,
    },
  ];
  assertEquals((await lookAt(engine, "lm-studio")).models(), expected);
  assertEquals((await lookAt(engine)).models(), expected);
});

Deno.test("llama.cpp's model is called by its file's name, not by where that lies", async () => {
  const path = "/home/someone/models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf";
  await using engine = await new OpenAiEngine({
    flavour: "llama.cpp",
    models: [testModel(path, { capabilities: ["completion", "tools", "vision"] })],
  }).start();
  const watch = await lookAt(engine, "llama.cpp");

  assertEquals(watch.models(), [{
    name: "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    engine: "llama.cpp",
    sizeBytes: 2_019_393_189,
    parameters: 3_212_749_888,
    contextLength: 8_192,
    quantization: "Q4_K_M",
    capabilities: ["chat", "vision", "tools"],
    loaded: true,
    lastResort: false,
  }]);
  const [{ id }] = watch.find("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf");
  assertEquals(id, path);
  assertEquals(watch.engines()[0].version, "b9000-1234567");
});

Deno.test("vLLM says its version and how long its context is", async () => {
  await using engine = await new OpenAiEngine({
    flavour: "vllm",
    models: [testModel("Qwen/Qwen3-8B", { contextLength: 40_960 })],
  }).start();
  const watch = await lookAt(engine, "vllm");
  assertEquals(watch.models(), [
    { ...UNKNOWN, name: "Qwen/Qwen3-8B", engine: "vllm", contextLength: 40_960 },
  ]);
  assertEquals(watch.engines()[0].version, "0.11.0");
});

Deno.test("exo has the models of which there is an instance, and not all that it lists", async () => {
  await using engine = await new OpenAiEngine({
    flavour: "exo",
    models: [
      testModel("mlx-community/Qwen3-8B-4bit", { quantization: "4bit", sizeBytes: 2 ** 32 }),
      testModel("mlx-community/DeepSeek-V3.1-4bit", { loaded: false }),
    ],
  }).start();
  assertEquals((await lookAt(engine, "exo")).models(), [{
    ...UNKNOWN,
    name: "mlx-community/Qwen3-8B-4bit",
    engine: "exo",
    sizeBytes: 2 ** 32,
    contextLength: 131_072,
    quantization: "4bit",
  }]);
});

Deno.test("Jan, with its key, lists what is on the disk; without it says that it wants one", async () => {
  await using engine = await new OpenAiEngine({ flavour: "jan", key: "secret" }).start();
  const named = parseEngine(`${engine.url}#key-env=JAN_KEY`);
  const { watch } = watchRig([{ ...named, usual: "jan" }], undefined, { JAN_KEY: "secret\n" });
  await watch.look();
  assertEquals(watch.models(), [{ ...UNKNOWN, name: "test-model", engine: "jan", loaded: false }]);
  await watch.stop();

  const locked = await lookAt(engine, "jan");
  const [{ state, note, models }] = locked.engines();
  assertEquals([state, models], ["locked", 0]);
  assertEquals(
    note,
    `it wants a key. Name the variable that holds it: --engine ${engine.url}#key-env=NAME`,
  );
});

Deno.test("another server of OpenAI's protocol is one, whatever port it took", async () => {
  await using engine = await new OpenAiEngine({
    flavour: "openai",
    models: [testModel("gpt-4o-mini"), testModel("text-embedding-3-small"), testModel("whisper-1")],
  }).start();
  const watch = await lookAt(engine, "llama.cpp");
  assertEquals(watch.engines()[0].kind, "openai");
  assertEquals(watch.models().map(({ name, capabilities }) => [name, capabilities]), [
    ["gpt-4o-mini", ["chat"]],
    ["text-embedding-3-small", ["embeddings"]],
    ["whisper-1", []],
  ]);
});

Deno.test("Anthropic's API lists its models to who asks in its own way, and is asked in OpenAI's", async () => {
  const models = [{
    type: "model",
    id: "claude-sonnet-4-5-20250929",
    display_name: "Claude Sonnet 4.5",
    created_at: "2025-09-29T00:00:00Z",
    max_input_tokens: 200_000,
  }];
  const refusal = (type: string) =>
    Response.json({ type: "error", error: { type, message: type } }, { status: 401 });
  const engine = new ScriptedEngine({
    "/v1/models": ({ headers }: EngineRequest) =>
      headers["x-api-key"] !== "k3y" || headers["anthropic-version"] === undefined
        ? refusal("authentication_error")
        : { data: models, has_more: false, first_id: models[0].id, last_id: models[0].id },
    "/v1/chat/completions": { choices: [] },
  });
  const place = parseEngine("https://anthropic.example/v1#key-env=CLAUDE_KEY");
  const { watch, pass } = watchRig([place], engine.http, { CLAUDE_KEY: "k3y" });
  await watch.look();
  assertEquals(watch.models(), [{
    ...UNKNOWN,
    name: "claude-sonnet-4-5-20250929",
    engine: "openai",
    contextLength: 200_000,
    lastResort: true,
  }]);
  // It is known from then on, and its key goes one way at a time.
  engine.requests.length = 0;
  await pass(300_000);
  assertEquals(engine.requests.map(({ url, headers }) => [url.search, headers.authorization]), [
    ["?limit=1000", undefined],
  ]);
  const [found] = watch.find("claude-sonnet-4-5-20250929");
  await (await found.ask({ path: "/v1/chat/completions", body: new Uint8Array() })).bytes(100);
  const { headers } = engine.requests.at(-1)!;
  assertEquals([headers.authorization, headers["x-api-key"]], ["Bearer k3y", undefined]);
  await watch.stop();
});

Deno.test("without a key, or with a wrong one, Anthropic's API is told to want one", async () => {
  for (const key of [undefined, "wrong"]) {
    const engine = new ScriptedEngine({
      "/v1/models": () =>
        Response.json({ type: "error", error: { type: "authentication_error" } }, { status: 401 }),
    });
    const place = parseEngine("https://anthropic.example/v1#key-env=CLAUDE_KEY");
    const { watch } = watchRig([place], engine.http, key === undefined ? {} : { CLAUDE_KEY: key });
    await watch.look();
    await watch.stop();
    assertEquals(watch.engines()[0].state, "locked");
    assertEquals(engine.asked.length, key === undefined ? 1 : 2);
  }
});
