/** Which models there are, as clients of OpenAI, Anthropic and Ollama ask for it. */

import type { JsonObject } from "./dialect.ts";

/** A model as it is listed. What is not known of it is `null`. */
export interface ListedModel {
  readonly name: string;
  /** What it takes on the disk, in bytes. */
  readonly sizeBytes: number | null;
  /** How many parameters it has. */
  readonly parameters: number | null;
  /** How many tokens it takes together with its answer. */
  readonly contextLength: number | null;
  /** How its parameters are kept: `"Q4_K_M"`. */
  readonly quantization: string | null;
  /** `"chat"`, `"embeddings"`, `"vision"`, `"tools"`, `"thinking"`; empty where that is unknown. */
  readonly capabilities: readonly string[];
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** How it is built, where that is known: `"llama"`. */
  readonly family?: string;
  /** The model that it is another name of. */
  readonly aliasOf?: string;
}

/** What a listing says beside. */
export interface ListingOptions {
  /** Since when the models are there, in milliseconds since 1970: clients show it. */
  readonly at: number;
}

/** Ollama keeps a model for so long after it was last used, unless it is told otherwise. */
const KEPT_MS = 5 * 60_000;

/**
 * The answer of GET `/v1/models`: OpenAI's clients and Anthropic's ask at the same path, and each
 * finds in it what it looks for.
 */
export function modelList(models: readonly ListedModel[], options: ListingOptions): JsonObject {
  return {
    object: "list",
    data: models.map((model) => listedModel(model, options)),
    has_more: false,
    first_id: models[0]?.name ?? null,
    last_id: models.at(-1)?.name ?? null,
  };
}

/** The answer of GET `/v1/models/NAME`. */
export function listedModel(
  { name, contextLength, aliasOf }: ListedModel,
  { at }: ListingOptions,
): JsonObject {
  return {
    id: name,
    object: "model",
    created: Math.floor(at / 1_000),
    owned_by: "hanzo-network",
    type: "model",
    display_name: aliasOf === undefined ? name : `${name} (${aliasOf})`,
    created_at: isoTime(at),
    max_input_tokens: contextLength,
    max_tokens: null,
    // As vLLM says it.
    ...(aliasOf !== undefined && { root: aliasOf }),
  };
}

/** The answer of GET `/api/tags`. */
export function ollamaTags(models: readonly ListedModel[], options: ListingOptions): JsonObject {
  return {
    models: models.map((model) => ({ ...tagOf(model), modified_at: isoTime(options.at) })),
  };
}

/**
 * The answer of GET `/api/ps`: those in memory.
 *
 * @param options `now` in milliseconds since 1970.
 */
export function ollamaPs(models: readonly ListedModel[], { now }: { now: number }): JsonObject {
  return {
    models: models.filter(({ loaded }) => loaded).map((model) => ({
      ...tagOf(model),
      expires_at: isoTime(now + KEPT_MS),
      size_vram: model.sizeBytes ?? 0,
      ...(model.contextLength !== null && { context_length: model.contextLength }),
    })),
  };
}

/** The answer of POST `/api/show`. */
export function ollamaShow(model: ListedModel, { at }: ListingOptions): JsonObject {
  const { family, parameters, contextLength, capabilities } = model;
  const architecture = family ?? "unknown";
  return {
    license: "",
    modelfile: "",
    parameters: "",
    template: "",
    details: detailsOf(model),
    model_info: {
      "general.architecture": architecture,
      ...(parameters !== null && { "general.parameter_count": parameters }),
      ...(contextLength !== null && { [`${architecture}.context_length`]: contextLength }),
    },
    capabilities: capabilities.map((one) => OLLAMA_CAPABILITIES.get(one) ?? one),
    modified_at: isoTime(at),
  };
}

/** The answer of GET `/api/version`. */
export function ollamaVersion(version: string): JsonObject {
  return { version };
}

/** Those that have another name there. */
const OLLAMA_CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ["chat", "completion"],
  ["embeddings", "embedding"],
]);

function tagOf(model: ListedModel): JsonObject {
  return {
    name: model.name,
    model: model.name,
    size: model.sizeBytes ?? 0,
    digest: digestOf(model),
    details: detailsOf(model),
  };
}

function detailsOf(
  { family = "", parameters, quantization, aliasOf = "" }: ListedModel,
): JsonObject {
  return {
    parent_model: aliasOf,
    format: "gguf",
    family,
    families: family === "" ? [] : [family],
    parameter_size: parameters === null ? "" : sizeText(parameters),
    quantization_level: quantization ?? "",
  };
}

/** A number of parameters as Ollama says it: `3.2B`, `136.73M`. */
function sizeText(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(1)}B`;
  if (parameters >= 1e6) return `${(parameters / 1e6).toFixed(2)}M`;
  return parameters >= 1e3 ? `${Math.round(parameters / 1e3)}K` : `${parameters}`;
}

/**
 * Sixty-four digits that only the same model has, by whatever name: Ollama's own command shows the first twelve, and
 * ends in a panic where there are fewer. It is no SHA-256 of anything (FNV-1a, eight times).
 */
function digestOf({ name, sizeBytes, quantization, aliasOf = name }: ListedModel): string {
  const text = `${aliasOf}\n${sizeBytes}\n${quantization}`;
  return Array.from({ length: 8 }, (_, seed) => {
    let hash = 0x811c9dc5 ^ seed;
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
    return (hash >>> 0).toString(16).padStart(8, "0");
  }).join("");
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
