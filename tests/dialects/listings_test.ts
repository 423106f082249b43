/** Listings of models, as official clients read them. */

import Anthropic from "@anthropic-ai/sdk";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { DIALECT_NAMES, type JsonObject } from "../../src/dialects/dialect.ts";
import { dialectOf, DIALECTS } from "../../src/dialects/dialects.ts";
import {
  type ListedModel,
  listedModel,
  modelList,
  ollamaPs,
  ollamaShow,
  ollamaTags,
  ollamaVersion,
} from "../../src/dialects/listings.ts";

const AT = Date.UTC(2025, 0, 1);
const LLAMA: ListedModel = {
  name: "llama3.2:latest",
  sizeBytes: 2_019_393_189,
  parameters: 3_212_749_888,
  contextLength: 131_072,
  quantization: "Q4_K_M",
  capabilities: ["chat", "tools"],
  loaded: true,
  family: "llama",
};
const UNKNOWN: ListedModel = {
  name: "something",
  sizeBytes: null,
  parameters: null,
  contextLength: null,
  quantization: null,
  capabilities: [],
  loaded: false,
};
const FAST: ListedModel = { ...LLAMA, name: "fast", aliasOf: LLAMA.name };
const MODELS = [LLAMA, UNKNOWN];

/** Answers by path. */
function serving(answers: Record<string, JsonObject>): typeof fetch {
  return (input, init) => {
    const pathname = decodeURIComponent(new URL(new Request(input as string, init).url).pathname);
    assert(pathname in answers, pathname);
    return Promise.resolve(Response.json(answers[pathname]));
  };
}

const NAMES = MODELS.map(({ name }) => name);
const v1 = serving({
  "/v1/models": modelList(MODELS, { at: AT }),
  "/v1/models/llama3.2:latest": listedModel(LLAMA, { at: AT }),
});

Deno.test("OpenAI's client reads the list of models, and one of them", async () => {
  const client = new OpenAI({ apiKey: "x", baseURL: "http://127.0.0.1:1/v1", fetch: v1 });
  const models = await Array.fromAsync(client.models.list());
  assertEquals(models.map(({ id }) => id), NAMES);
  const { id, object, created, owned_by } = await client.models.retrieve(LLAMA.name);
  assertEquals({ id, object, created, owned_by }, {
    id: LLAMA.name,
    object: "model",
    created: AT / 1_000,
    owned_by: "hanzo-network",
  });
});

Deno.test("Anthropic's client reads the same list at the same path", async () => {
  const client = new Anthropic({ apiKey: "x", baseURL: "http://127.0.0.1:1", fetch: v1 });
  const models = await Array.fromAsync(client.models.list());
  assertEquals(
    models.map(({ id, type, display_name }) => [id, type, display_name]),
    NAMES.map((name) => [name, "model", name]),
  );
  assertEquals((await client.models.retrieve(LLAMA.name)).created_at, "2025-01-01T00:00:00.000Z");
});

Deno.test("a list of no models is one, too", async () => {
  const fetch = serving({ "/v1/models": modelList([], { at: AT }) });
  const client = new Anthropic({ apiKey: "x", baseURL: "http://127.0.0.1:1", fetch });
  assertEquals(await Array.fromAsync(client.models.list()), []);
});

const ollama = new Ollama({
  host: "http://127.0.0.1:1",
  fetch: serving({
    "/api/tags": ollamaTags(MODELS, { at: AT }),
    "/api/ps": ollamaPs(MODELS, { now: AT }),
    "/api/show": ollamaShow(LLAMA, { at: AT }),
    "/api/version": ollamaVersion("0.12.3"),
  }),
});

Deno.test("Ollama's client reads the list of models, and of those in memory", async () => {
  const { models } = await ollama.list();
  assertEquals(models.map(({ name }) => name), NAMES);
  const [llama, unknown] = models;
  assertEquals(llama.size, LLAMA.sizeBytes);
  assertEquals(llama.details, {
    parent_model: "",
    format: "gguf",
    family: "llama",
    families: ["llama"],
    parameter_size: "3.2B",
    quantization_level: "Q4_K_M",
  });
  assertEquals([unknown.size, unknown.details.parameter_size], [0, ""]);
  for (const { digest } of models) assertMatch(digest, /^[0-9a-f]{64}$/);
  assertNotEquals(llama.digest.slice(0, 12), unknown.digest.slice(0, 12));

  const running = (await ollama.ps()).models;
  assertEquals(running.map(({ name, size_vram }) => [name, size_vram]), [[
    LLAMA.name,
    LLAMA.sizeBytes,
  ]]);
  assert(Date.parse(`${running[0].expires_at}`) > AT);
  assertEquals((await ollama.version()).version, "0.12.3");
});

Deno.test("Ollama's client is shown what a model is, in Ollama's words", async () => {
  const shown = await ollama.show({ model: LLAMA.name });
  assertEquals(shown.capabilities, ["completion", "tools"]);
  assertEquals<unknown>(shown.model_info, {
    "general.architecture": "llama",
    "general.parameter_count": LLAMA.parameters,
    "llama.context_length": LLAMA.contextLength,
  });
  const unknown = ollamaShow(UNKNOWN, { at: AT });
  assertEquals(unknown.model_info, { "general.architecture": "unknown" });
});

Deno.test("another name of a model is one to choose, and says of which model", async () => {
  const at = { at: AT };
  const both = [LLAMA, FAST];
  const { id, root, display_name } = listedModel(FAST, at);
  assertEquals([id, root, display_name], ["fast", LLAMA.name, `fast (${LLAMA.name})`]);
  assertEquals("root" in listedModel(LLAMA, at), false);
  const fetch = serving({ "/api/tags": ollamaTags(both, at), "/api/show": ollamaShow(FAST, at) });
  const client = new Ollama({ host: "http://127.0.0.1:1", fetch });
  const { models: [llama, fast] } = await client.list();
  assertEquals([fast.name, fast.details.parent_model], ["fast", LLAMA.name]);
  assertEquals(fast.digest, llama.digest);
  assertEquals((await client.show({ model: "fast" })).details.parent_model, LLAMA.name);
});

Deno.test("numbers of parameters are said in few digits", () => {
  const said = (parameters: number) =>
    (ollamaShow({ ...LLAMA, parameters }, { at: AT }).details as JsonObject).parameter_size;
  assertEquals([70_553_706_496, 136_727_040, 22_000, 5].map(said), [
    "70.6B",
    "136.73M",
    "22K",
    "5",
  ]);
});

Deno.test("every dialect is known by its name and by its path", () => {
  assertEquals(Object.keys(DIALECTS).sort(), [...DIALECT_NAMES].sort());
  for (const name of DIALECT_NAMES) {
    assertEquals(DIALECTS[name].name, name);
    assertEquals(dialectOf(DIALECTS[name].path), DIALECTS[name]);
    const ways = [DIALECTS[name].toChat, DIALECTS[name].toEmbeddings];
    assertEquals(ways.filter((way) => way !== undefined).length, 1, name);
  }
});
