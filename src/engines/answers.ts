/**
 * What engines answer, checked at this one place: what they must say, what they may say, and what a
 * name may be. A field that is not what it should be is as good as left out; a model without a name
 * is left out itself.
 */

import { z } from "zod";
import { safeName } from "../base/safe_text.ts";
import {
  MAX_MODEL_NAME,
  MODEL_CAPABILITIES,
  type ModelCapability,
  type ModelDescription,
} from "./model.ts";

/** A model as its engine knows it. */
export interface EngineModel extends ModelDescription {
  /** What the engine calls it, which may be the path of a file. */
  readonly id: string;
}

/** More models of one engine than this are not read. */
const MAX_LISTED = 4_096;

const id = z.string().min(1).max(1_024);
const text = z.string().max(1_024).nullish().catch(undefined);
const texts = z.array(z.string()).max(64).nullish().catch(undefined);
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).nullish().catch(
  undefined,
);
const details = z.object({
  family: text,
  families: texts,
  parameter_size: text,
  quantization_level: text,
}).nullish().catch(undefined);

/** `/v1/models`, with what each server adds to it. */
const openAiModel = z.object({
  id,
  owned_by: text,
  // vLLM.
  max_model_len: count,
  // OpenRouter and exo; Groq.
  context_length: count,
  context_window: count,
  // Anthropic.
  max_input_tokens: count,
  supported_parameters: texts,
  // OpenRouter and llama.cpp.
  architecture: z.object({ input_modalities: texts }).nullish().catch(undefined),
  // llama.cpp; null while it loads.
  meta: z.object({ n_ctx_train: count, n_params: count, size: count }).nullish().catch(undefined),
  // llama.cpp where it serves several.
  status: z.object({ value: text }).nullish().catch(undefined),
  // exo.
  storage_size_megabytes: count,
  quantization: text,
  capabilities: texts,
  tasks: texts,
});
const lmStudioModel = z.object({
  id,
  type: z.string().max(64),
  state: z.string().max(64),
  quantization: text,
  max_context_length: count,
  loaded_context_length: count,
  capabilities: texts,
});
const ollamaModel = z.object({
  name: id,
  size: count,
  digest: text,
  // Of those that are in memory.
  context_length: count,
  // Only of those that run elsewhere.
  remote_host: text,
  details,
  capabilities: texts,
});
const shown = z.object({
  capabilities: texts,
  details,
  model_info: z.record(z.string().max(256), z.unknown()).nullish().catch(undefined),
});
const props = z.object({
  build_info: text,
  default_generation_settings: z.object({ n_ctx: count }).nullish().catch(undefined),
  modalities: z.object({ vision: z.boolean().nullish().catch(undefined) }).nullish().catch(
    undefined,
  ),
  chat_template_caps: z.object({ supports_tools: z.boolean().nullish().catch(undefined) }).nullish()
    .catch(undefined),
});

/** A model of `/v1/models`. */
export type OpenAiListed = z.infer<typeof openAiModel>;
/** A model of LM Studio's own list. */
export type LmStudioListed = z.infer<typeof lmStudioModel>;
/** A model of `/api/tags` or `/api/ps`. */
export type OllamaListed = z.infer<typeof ollamaModel>;
/** What `/api/show` says of a model. */
export type OllamaShown = z.infer<typeof shown>;
/** What `/props` says. */
export type LlamaProps = z.infer<typeof props>;

/** The models of `/v1/models`; undefined where that is not such a list. */
export function openAiModels(value: unknown): OpenAiListed[] | undefined {
  const list = z.object({ object: z.unknown().optional(), data: z.array(z.unknown()).nullable() })
    .safeParse(value);
  if (!list.success) return undefined;
  const models = each(openAiModel, list.data.data ?? []);
  // An API of something else may have `data`, too.
  const isEach = models.length === (list.data.data ?? []).length && models.length > 0;
  return list.data.object === "list" || isEach ? models : undefined;
}

/** The models of LM Studio's `/api/v0/models`; undefined where that is not such a list. */
export function lmStudioModels(value: unknown): LmStudioListed[] | undefined {
  const list = z.object({ object: z.literal("list"), data: z.array(z.unknown()) }).safeParse(value);
  return list.success ? each(lmStudioModel, list.data.data) : undefined;
}

/** The models of `/api/tags` or `/api/ps`; undefined where that is not such a list. */
export function ollamaModels(value: unknown): OllamaListed[] | undefined {
  const list = z.object({ models: z.array(z.unknown()).nullable() }).safeParse(value);
  return list.success ? each(ollamaModel, list.data.models ?? []) : undefined;
}

/** What `/api/show` says; empty where it says nothing of use. */
export function ollamaShown(value: unknown): OllamaShown {
  return shown.safeParse(value).data ?? {};
}

/** What `/props` says; undefined where it is not llama.cpp's. */
export function llamaProps(value: unknown): LlamaProps | undefined {
  return props.safeParse(value).data;
}

/** Whether an error says that a model is still being read from the disk, as llama.cpp does. */
export function isLoading(value: unknown): boolean {
  const refusal = z.object({ error: z.object({ message: z.string() }) }).safeParse(value);
  return refusal.success && /^loading model/i.test(refusal.data.error.message);
}

/** Whether an answer is an error as Anthropic's API tells it. */
export function isAnthropicRefusal(value: unknown): boolean {
  const error = z.object({ type: z.string() });
  return z.object({ type: z.literal("error"), error }).safeParse(value).success;
}

/** A version as `{ "version": "0.5.1" }`; undefined where it is not that. */
export function versionOf(value: unknown): string | undefined {
  const read = z.object({ version: z.string().min(1).max(256) }).safeParse(value);
  return read.success ? safeName(read.data.version, 64) : undefined;
}

/** The models of which exo's `/state` has an instance; undefined where that is no state. */
export function exoInstances(value: unknown): Set<string> | undefined {
  const instance = z.object({ shardAssignments: z.object({ modelId: id }) });
  const state = z.object({ instances: z.record(z.string(), z.unknown()) }).safeParse(value);
  if (!state.success) return undefined;
  const models = Object.values(state.data.instances).flatMap((tagged) =>
    // One key, the name of its kind.
    Object.values(z.record(z.string(), z.unknown()).safeParse(tagged).data ?? {})
  ).map((one) => instance.safeParse(one).data?.shardAssignments.modelId);
  return new Set(models.filter((model) => model !== undefined));
}

function each<T>(schema: z.ZodType<T>, values: readonly unknown[]): T[] {
  return values.slice(0, MAX_LISTED).map((value) => schema.safeParse(value).data)
    .filter((value) => value !== undefined);
}

/** What is known of a model; what is left out is unknown. */
export type KnownModel =
  & Pick<EngineModel, "id" | "engine" | "loaded">
  & { readonly [K in keyof EngineModel]?: EngineModel[K] | undefined };

/** A model as it may be told; undefined where nothing is left of its name. */
export function engineModel(known: KnownModel): EngineModel | undefined {
  const name = safeName(known.name ?? known.id, MAX_MODEL_NAME);
  if (name === "") return undefined;
  return {
    id: known.id,
    name,
    engine: known.engine,
    sizeBytes: known.sizeBytes || null,
    parameters: known.parameters || null,
    contextLength: known.contextLength || null,
    quantization: safeName(known.quantization ?? "", 32) || null,
    capabilities: known.capabilities ?? [],
    loaded: known.loaded,
    lastResort: known.lastResort ?? false,
  };
}

/** Other words for what a model can do, among them those of `input_modalities`. */
const SYNONYMS: Readonly<Record<string, ModelCapability>> = {
  completion: "chat",
  text: "chat",
  embedding: "embeddings",
  image: "vision",
  multimodal: "vision",
  tool_use: "tools",
  tool_choice: "tools",
  reasoning: "thinking",
};

/** What these words say of a model, in the order of the list; what is not known is left out. */
export function capabilitiesOf(words: Iterable<string | false | undefined>): ModelCapability[] {
  const found = new Set([...words].map((word) => word && (SYNONYMS[word] ?? word)));
  return MODEL_CAPABILITIES.filter((one) => found.has(one));
}

/** What the name of a model says of what it can do, where nothing else does. */
export function guessedCapabilities(name: string): ModelCapability[] {
  if (/embed|minilm|(^|[/:_-])(bge|gte|e5)[-:_]/i.test(name)) return ["embeddings"];
  // What OpenAI's list has beside its models that chat.
  const isOther = /whisper|tts|dall-e|-image|sora|moderation|transcribe|realtime|rerank/i.test(
    name,
  );
  return isOther ? [] : ["chat"];
}

/** How a model's parameters are kept, by the name of its file: `model-Q4_K_M.gguf`. */
export function guessedQuantization(name: string): string | undefined {
  return /(?:^|[-_.:])((?:IQ|Q)\d(?:_[A-Z0-9]+)*|BF16|F16|F32|MXFP4|NVFP4)(?=$|[-_.:])/i.exec(name)
    ?.[1]?.toUpperCase();
}

/** `8.0B`, `137M` as a number; undefined where it is none. */
export function countOf(text: string | null | undefined): number | undefined {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMBT])?\s*$/i.exec(text ?? "") ?? [];
  if (digits === undefined) return undefined;
  const factor = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[unit?.toUpperCase() as "K"] ?? 1;
  const value = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}
