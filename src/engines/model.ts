/** A model that an engine of a device has: what the network is told of it. */

import { z } from "zod";
import { safeName } from "../base/safe_text.ts";

/** What runs models: one of these programs, or another server that speaks OpenAI's protocol. */
export type EngineKind =
  | "ollama"
  | "lm-studio"
  | "llama.cpp"
  | "vllm"
  | "exo"
  | "jan"
  | "openai";

/** Every {@linkcode EngineKind}. */
export const ENGINE_KINDS: readonly EngineKind[] = [
  "ollama",
  "lm-studio",
  "llama.cpp",
  "vllm",
  "exo",
  "jan",
  "openai",
];

/**
 * How many calls an engine answers at a time before others wait, or all become slower: what each
 * program does unless it is told otherwise. vLLM batches as long as its memory lasts, far beyond
 * what makes a difference to where a call goes.
 */
export const ENGINE_WIDTHS: Readonly<Record<EngineKind, number>> = {
  "ollama": 1,
  "lm-studio": 4,
  "llama.cpp": 4,
  "vllm": 32,
  "exo": 1,
  "jan": 4,
  "openai": 8,
};

/** What a model can do. */
export type ModelCapability = "chat" | "embeddings" | "vision" | "tools" | "thinking";

/** Every {@linkcode ModelCapability}. */
export const MODEL_CAPABILITIES: readonly ModelCapability[] = [
  "chat",
  "embeddings",
  "vision",
  "tools",
  "thinking",
];

/**
 * A model of an engine, as the network is told of it. What its engine does not say is `null`.
 *
 * @example The models of a network that can be asked with tools
 * ```ts ignore
 * for (const { name, devices } of network.models()) {
 *   const where = devices.filter(({ capabilities }) => capabilities.includes("tools"));
 *   console.log(name, where.map(({ nodeId, loaded }) => `${nodeId}${loaded ? "" : " (on disk)"}`));
 * }
 * ```
 */
export interface ModelDescription {
  /** By this name it is asked for: `"llama3.2:latest"`. */
  readonly name: string;
  /** What runs it. */
  readonly engine: EngineKind;
  /** What it takes on the disk, in bytes. */
  readonly sizeBytes: number | null;
  /** How many parameters it has. */
  readonly parameters: number | null;
  /** How many tokens it takes together with its answer. */
  readonly contextLength: number | null;
  /** How its parameters are kept: `"Q4_K_M"`. */
  readonly quantization: string | null;
  /** What it can do; empty where that is unknown. */
  readonly capabilities: readonly ModelCapability[];
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** Whether it is asked only when nobody else has it: what is said to it leaves the device. */
  readonly lastResort: boolean;
}

/** So many models of one device are told. */
export const MAX_MODELS = 512;
/** The longest name of a model: `hf.co/…` with a quantisation has a hundred characters. */
export const MAX_MODEL_NAME = 256;

const count = z.number().int().nonnegative().nullable();
const text = (length: number) => z.string().max(4 * length).transform((s) => safeName(s, length));

/** Checks what a peer says of a model of its own. */
export const modelDescriptionSchema: z.ZodType<ModelDescription> = z.object({
  name: text(MAX_MODEL_NAME).pipe(z.string().min(1)),
  // A later version may know more of them; all speak OpenAI's protocol.
  engine: z.enum(ENGINE_KINDS).catch("openai"),
  sizeBytes: count,
  parameters: count,
  contextLength: count,
  quantization: text(32).nullable(),
  capabilities: z.array(z.string().max(32)).max(32).transform((given) =>
    MODEL_CAPABILITIES.filter((one) => given.includes(one))
  ),
  loaded: z.boolean(),
  lastResort: z.boolean(),
});
