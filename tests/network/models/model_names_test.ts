/** Which models people mean by a name. */

import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../../src/base/errors.ts";
import type { ModelOnDevice, NetworkModel } from "../../../src/network/catalog.ts";
import {
  aliasesNow,
  checkAliases,
  type ModelAliases,
  modelsMeant,
  type ModelUse,
  plain,
} from "../../../src/network/models/model_names.ts";

const GB = 1e9;

function model(name: string, ...devices: Partial<ModelOnDevice>[]): NetworkModel {
  return {
    name,
    devices: (devices.length === 0 ? [{}] : devices).map((device) => ({
      name,
      nodeId: "a",
      engine: "ollama",
      sizeBytes: null,
      parameters: null,
      contextLength: null,
      quantization: null,
      capabilities: ["chat"],
      loaded: false,
      lastResort: false,
      firstTokenMs: null,
      tokensPerSecond: null,
      ...device,
    })),
  };
}

function meant(
  asked: string,
  models: NetworkModel[],
  { use = "chat", aliases = {}, memory = {} }: {
    use?: ModelUse;
    aliases?: ModelAliases;
    memory?: Record<string, number>;
  } = {},
): string[] {
  return modelsMeant(asked, use, { models, aliases, memoryOf: (nodeId) => memory[nodeId] });
}

Deno.test("names that say the same are the same, however they are written", () => {
  const same: Record<string, string[]> = {
    "llama3.2-3b": [
      "llama3.2:3b",
      "Llama-3.2-3B-Instruct-Q4_K_M.gguf",
      "meta-llama/Llama-3.2-3B-Instruct",
      "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
      "mlx-community/Llama-3.2-3B-Instruct-4bit",
      "llama-3.2-3b-instruct-fp16",
      "llama3.2:3b-instruct-q8_0",
      "llama 3.2 3b",
    ],
    "llama3.2": ["llama3.2:latest", "llama3.2", "Llama-3.2", "llama-3.2-instruct"],
    "gemma3-27b": ["gemma3:27b", "google/gemma-3-27b-it", "gemma-3-27b-it-qat".replace("-qat", "")],
    "qwen2.5-coder7b": ["qwen2.5-coder:7b", "Qwen/Qwen2.5-Coder-7B-Instruct"],
    "phi4": ["phi4", "phi-4:latest", "microsoft/phi-4"],
    "gpt4o": ["gpt-4o", "openai/gpt-4o"],
    "": ["", "/", ":latest", "-it-chat"],
  };
  for (const [name, spellings] of Object.entries(same)) {
    for (const spelling of spellings) assertEquals(plain(spelling), name, spelling);
  }
});

Deno.test("a model of that very name is meant, and no other", () => {
  const models = [model("llama3.2:3b", { loaded: true }), model("llama3.2:1b"), model("llama3.2")];
  assertEquals(meant("llama3.2", models), ["llama3.2"]);
  assertEquals(meant("llama3.2:1b", models), ["llama3.2:1b"]);
  // Even where it is said to do something else: its engine says so.
  assertEquals(meant("llama3.2", models, { use: "embeddings" }), ["llama3.2"]);
});

Deno.test("the same model by other names is meant before others of its family", () => {
  const models = [
    model("llama3.2:3b", { loaded: true, parameters: 3 * GB }),
    model("meta-llama/Llama-3.2-1B-Instruct", { parameters: 1 * GB }),
    model("llama32-other"),
  ];
  assertEquals(meant("llama3.2:1b", models), ["meta-llama/Llama-3.2-1B-Instruct"]);
  assertEquals(meant("llama3.2", models), ["llama3.2:3b", "meta-llama/Llama-3.2-1B-Instruct"]);
  assertEquals(meant("LLAMA3", models), ["llama3.2:3b", "meta-llama/Llama-3.2-1B-Instruct"]);
  assertEquals(meant("llama", models).length, 3);
  assertEquals(meant("llama3.2-3", models), []);
  assertEquals(meant("mistral", models), []);
});

Deno.test("of a family what is in memory comes first, then what fits into memory, then what is larger", () => {
  const models = [
    model("m:70b", { sizeBytes: 40 * GB, nodeId: "big" }, { sizeBytes: 40 * GB, nodeId: "small" }),
    model("m:8b", { sizeBytes: 5 * GB, nodeId: "small" }),
    model("m:1b", { sizeBytes: 1 * GB, nodeId: "small" }),
  ];
  const memory = { small: 8 * GB };
  assertEquals(meant("m", models, { memory }), ["m:70b", "m:8b", "m:1b"]);
  assertEquals(
    meant("m", models, { memory: { ...memory, big: 24 * GB } }),
    ["m:8b", "m:1b", "m:70b"],
  );
  const loaded = [...models, model("m:3b", { sizeBytes: 2 * GB, loaded: true })];
  assertEquals(meant("m", loaded, { memory })[0], "m:3b");
  const many = Array.from({ length: 9 }, (_, i) => model(`m:${i}b`, { parameters: i }));
  assertEquals(meant("m", many), ["m:8b", "m:7b", "m:6b", "m:5b"]);
});

Deno.test("for embeddings those are meant that make them, and for a chat those that talk", () => {
  const models = [
    model("nomic-embed-text:v1.5", { capabilities: ["embeddings"], parameters: 1 }),
    model("nomic-embed-text-chat", { capabilities: ["chat"], parameters: 2 }),
    model("nomic-embed-text:unknown", { capabilities: [], parameters: 3 }),
  ];
  const asked = (use: ModelUse) => meant("default", models, { use });
  assertEquals(asked("embeddings"), ["nomic-embed-text:unknown", "nomic-embed-text:v1.5"]);
  assertEquals(asked("chat"), ["nomic-embed-text:unknown", "nomic-embed-text-chat"]);
  // Where there is no other, its engine says that it cannot.
  const [only] = models;
  assertEquals(meant("nomic-embed-text", [only]), ["nomic-embed-text:v1.5"]);
  assertEquals(meant("default", [only]), []);
});

Deno.test("several names are tried one after the other, each model once", () => {
  const models = [model("a:1b"), model("b"), model("c")];
  assertEquals(meant("nobody, b,a , b,c", models), ["b", "a:1b", "c"]);
  assertEquals(meant(" , ,", models), []);
  assertEquals(meant(`${"x,".repeat(8)}b`, models), []);
});

Deno.test("an alias stands for its models in their order, also for the name of another one", () => {
  const models = [model("big"), model("small"), model("gpt-4o")];
  const aliases = checkAliases({ "fast": ["small", "big"], "gpt-4o": "big", "none": "nobody" });
  assertEquals(meant("fast", models, { aliases }), ["small", "big"]);
  assertEquals(meant("gpt-4o", models, { aliases }), ["big"]);
  assertEquals(meant("none, fast", models, { aliases }), ["small", "big"]);
  for (const name of ["__proto__", "constructor", "toString"]) {
    assertEquals(meant(name, models, { aliases }), []);
  }
});

Deno.test("aliases are told with what there is of their models", () => {
  const models = [
    model("big"),
    model("small"),
    model("nomic:latest", { capabilities: ["embeddings"] }),
  ];
  const aliases = checkAliases({ none: "gone", fast: ["gone", "small", "big"], embed: "nomic" });
  assertEquals(aliasesNow({ models, aliases, memoryOf: () => undefined }), [
    { name: "embed", models: ["nomic:latest"] },
    { name: "fast", models: ["small", "big"] },
    { name: "none", models: [] },
  ]);
});

Deno.test("an alias may say what is the default", () => {
  const models = [model("big", { loaded: true }), model("small")];
  assertEquals(meant("default", models), ["big", "small"]);
  assertEquals(meant("default", models, { aliases: checkAliases({ default: "small" }) }), [
    "small",
  ]);
});

Deno.test("what is somebody else's comes after all that is one's own, and is no default", () => {
  const cloud = { lastResort: true, loaded: true, parameters: 900 * GB };
  const models = [model("llama3:405b", cloud), model("llama3:8b", { parameters: 8 * GB })];
  assertEquals(meant("llama3", models), ["llama3:8b", "llama3:405b"]);
  assertEquals(meant("default", models), ["llama3:8b"]);
  assertEquals(meant("default", [model("gpt-4o", cloud)]), []);
  assertEquals(meant("gpt-4o", [model("gpt-4o", cloud)]), ["gpt-4o"]);
});

Deno.test("a name without end is no name, and costs no time", () => {
  const models = [model("a")];
  const began = performance.now();
  for (const name of ["_q1".repeat(1e5), "-it".repeat(1e5), "/".repeat(1e6), " ".repeat(1e6)]) {
    assertEquals(meant(`${name}!`, models), []);
    assertEquals(meant(name, models), []);
  }
  const ms = performance.now() - began;
  assertEquals(ms < 1_000, true, `${ms} ms`);
});

Deno.test("an alias that cannot be one is refused by its name", () => {
  const wrong: Record<string, string | string[]>[] = [
    { "": "a" },
    { " a": "b" },
    { "a,b": "c" },
    { a: [] },
    { a: "b,c" },
    { a: Array.from({ length: 9 }, (_, i) => `m${i}`) },
    { a: "x".repeat(257) },
    { a: [1 as unknown as string] },
  ];
  for (const aliases of wrong) {
    assertEquals(assertThrows(() => checkAliases(aliases), NetworkError).code, "INVALID_ARGUMENT");
  }
});
