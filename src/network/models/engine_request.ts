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

/** Levels of nesting of a request: schemas of tools are deep. */
const MAX_DEPTH = 128;

/**
 * The request to the engine that has the model.
 *
 * @param body As the client wrote it: a whole object of JSON.
 * @throws {NetworkError} `INVALID_ARGUMENT` when the engine cannot be asked that; `PROTOCOL` when
 * the body is none.
 */
export function engineRequest(
  { dialect: name, stream, asked }: EngineTask,
  body: string,
  { id, description }: Pick<FoundModel, "id" | "description">,
  needs: TranslationNeeds,
): EngineRequest {
  const dialect = DIALECTS[name];
  const accept = stream ? dialect.streamType : "application/json";
  if (speaks(description.engine, name)) {
    const same = asked === id ? body : withModel(body, id);
    return { path: dialect.path, body: same, accept, stream, wording: { type: "same", dialect } };
  }
  const given = parseBoundedJson(new TextEncoder().encode(body), {
    maxBytes: MAX_TASK_BYTES,
    maxDepth: MAX_DEPTH,
  }) as JsonObject;
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
