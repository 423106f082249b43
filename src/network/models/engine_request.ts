/** What an engine is asked: the client's own words where it speaks their dialect, else a translation. */

import { parseBoundedJson } from "../../base/bounded_json.ts";
import { NetworkError } from "../../base/errors.ts";
import type { ChatRequest } from "../../dialects/chat.ts";
import type {
  ChatTranslation,
  Dialect,
  DialectName,
  EmbeddingTranslation,
  JsonObject,
  TranslationNeeds,
} from "../../dialects/dialect.ts";
import { DIALECTS } from "../../dialects/dialects.ts";
import type { FoundModel } from "../../engines/engine_watch.ts";
import type { EngineKind } from "../../engines/model.ts";
import type { YoungerPath } from "../../engines/younger_paths.ts";
import { MAX_TASK_BYTES } from "../../tasks/task.ts";
import type { EngineTask } from "./engine_call.ts";
import { promptTokens } from "./prompt_length.ts";
import { withModel } from "./with_model.ts";

/** How what an engine says becomes what the client is told. */
export type Wording =
  | { readonly type: "same"; readonly dialect: Dialect }
  | { readonly type: "chat"; readonly dialect: Dialect; readonly translation: ChatTranslation }
  | {
    readonly type: "embeddings";
    readonly dialect: Dialect;
    readonly translation: EmbeddingTranslation;
  };

/** What an engine is asked. */
export interface EngineRequest {
  readonly path: string;
  readonly body: string;
  readonly accept: string;
  readonly stream: boolean;
  readonly wording: Wording;
}

/** What every engine speaks. */
const COMMON: ReadonlySet<DialectName> = new Set([
  "openai-chat",
  "openai-completions",
  "openai-embeddings",
]);

/** What some engines speak. */
const YOUNGER: Readonly<Partial<Record<DialectName, YoungerPath>>> = {
  "openai-responses": "/responses",
  "anthropic-messages": "/messages",
};

/** Levels of nesting of a request: schemas of tools are deep. */
const MAX_DEPTH = 128;

/**
 * The request to the engine that has the model: in the client's words where the engine has these.
 *
 * @param body As the client wrote it: a whole object of JSON.
 * @throws {NetworkError} `INVALID_ARGUMENT` when the engine cannot be asked that; `PROTOCOL` when
 * the body is none.
 */
export async function engineRequest(
  { dialect: name, stream }: EngineTask,
  body: string,
  found: Pick<FoundModel, "id" | "description" | "hasPath">,
  needs: TranslationNeeds,
): Promise<EngineRequest> {
  const { id, description } = found;
  const dialect = DIALECTS[name];
  const same = (): EngineRequest => ({
    path: dialect.path,
    body: withModel(body, id),
    accept: stream ? dialect.streamType : "application/json",
    stream,
    wording: { type: "same", dialect },
  });
  if (speaks(description.engine, name)) return same();
  const given = parseBoundedJson(new TextEncoder().encode(body), {
    maxBytes: MAX_TASK_BYTES,
    maxDepth: MAX_DEPTH,
  }) as JsonObject;
  const younger = YOUNGER[name];
  if (younger !== undefined && !needsMemory(given) && await found.hasPath(younger)) return same();
  const accept = stream ? dialect.streamType : "application/json";
  if (dialect.toEmbeddings !== undefined) {
    const translation = dialect.toEmbeddings(given, needs);
    return {
      path: DIALECTS["openai-embeddings"].path,
      body: JSON.stringify({ ...translation.request, model: id }),
      accept,
      stream: false,
      wording: { type: "embeddings", dialect, translation },
    };
  }
  if (dialect.toChat === undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot ask ${description.engine} at ${dialect.path}: it has no such path.`,
    );
  }
  const translation = dialect.toChat(given, needs);
  return {
    path: DIALECTS["openai-chat"].path,
    body: JSON.stringify({
      ...(name === "anthropic-messages"
        ? withoutVainBound(translation.request, body, description.contextLength)
        : translation.request),
      model: id,
      stream,
    }),
    accept: stream ? "text/event-stream" : "application/json",
    stream,
    wording: { type: "chat", dialect, translation },
  };
}

/**
 * Whether a request goes on from what its engine keeps. The next one may go to another engine, so
 * none is relied on: the translation says how it is to be asked.
 */
function needsMemory(
  { previous_response_id: previous, conversation, prompt, background }: JsonObject,
): boolean {
  return Boolean(previous || conversation || prompt || background);
}

function speaks(kind: EngineKind, dialect: DialectName): boolean {
  return COMMON.has(dialect) || kind === "ollama" && dialect.startsWith("ollama-");
}

/**
 * Anthropic's clients have to say how long an answer may be, and say more than many a model holds;
 * engines refuse what does not fit beside the prompt. Without it an answer ends where the model does.
 */
function withoutVainBound(
  request: ChatRequest,
  body: string,
  contextLength: number | null,
): ChatRequest {
  const { max_tokens: most, ...rest } = request;
  const fits = typeof most !== "number" || contextLength === null ||
    promptTokens(body) + most <= contextLength;
  return fits ? request : rest as ChatRequest;
}
