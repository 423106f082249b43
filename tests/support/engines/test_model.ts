/** A model of an engine that a test makes, and what it says. */

/** A model of a test's engine. */
export interface TestModel {
  name: string;
  capabilities: ("completion" | "embedding" | "vision" | "tools" | "thinking")[];
  sizeBytes: number;
  parameters: number;
  contextLength: number;
  quantization: string;
  family: string;
  /** Whether it is in memory. */
  loaded: boolean;
  /** Of Ollama: the company's server that runs it instead. */
  remoteHost?: string;
}

/** What is asked of a model, whatever the dialect. */
export interface TestPrompt {
  readonly model: TestModel;
  /** All that was said, in order. */
  readonly messages: readonly { readonly role: string; readonly text: string }[];
  /** The names of the tools that it may ask for. */
  readonly tools: readonly string[];
  readonly maxTokens: number | undefined;
  /** What the answer is to look like: `"json"`, or whatever stands there for a schema. */
  readonly format?: unknown;
}

/** What a model says. */
export interface TestReply {
  readonly text?: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly { name: string; arguments: Record<string, unknown> }[];
}

/** A model that chats, in memory, but for what is said here. */
export function testModel(name: string, change: Partial<TestModel> = {}): TestModel {
  return {
    name,
    capabilities: ["completion", "tools"],
    sizeBytes: 2_019_393_189,
    parameters: 3_212_749_888,
    contextLength: 131_072,
    quantization: "Q4_K_M",
    family: "llama",
    loaded: true,
    ...change,
  };
}

/** A model that makes embeddings. */
export function embeddingModel(name: string, change: Partial<TestModel> = {}): TestModel {
  return testModel(name, {
    capabilities: ["embedding"],
    sizeBytes: 274_302_450,
    parameters: 136_727_040,
    contextLength: 2_048,
    quantization: "F16",
    family: "nomic-bert",
    ...change,
  });
}

/** Unless the test says otherwise: the last thing that was said, said again. */
export function echo({ messages }: TestPrompt): TestReply {
  return { text: `You said: ${messages.at(-1)?.text ?? ""}` };
}

/** A text in the pieces in which it is said: words, each with the blank before it. */
export function tokensOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** A text up to where it is to stop, and in so many tokens; what comes after is never said. */
export function cutShort(
  text: string,
  { stop, maxTokens = Infinity }: { stop?: unknown; maxTokens?: number },
): { tokens: string[]; isCut: boolean } {
  const ends = [stop ?? []].flat().map((one) => text.indexOf(`${one}`)).filter((at) => at >= 0);
  const tokens = tokensOf(text.slice(0, Math.min(...ends, text.length)));
  return { tokens: tokens.slice(0, maxTokens), isCut: tokens.length > maxTokens };
}

/** A vector of length 1 that only the same text has. */
export function embeddingOf(text: string, dimensions: number): number[] {
  let seed = 2_166_136_261;
  for (const byte of new TextEncoder().encode(text)) seed = Math.imul(seed ^ byte, 16_777_619);
  const values = Array.from({ length: dimensions }, () => {
    seed = Math.imul(seed ^ (seed >>> 15), 2_246_822_519) + 1;
    return Math.fround((seed >>> 8) / 2 ** 24 - 0.5);
  });
  const length = Math.hypot(...values) || 1;
  return values.map((value) => Math.fround(value / length));
}
