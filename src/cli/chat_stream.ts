/** What a model says over a node's API, piece by piece. */

import type { ChatChunk } from "../dialects/chat.ts";
import { firstSaid, type Used, usedIn } from "../dialects/chat_answer.ts";
import { EventReader } from "../dialects/events.ts";
import { isObject } from "../dialects/fields.ts";
import { errorOfOpenAi } from "../dialects/openai/errors.ts";
import { errorIn } from "../dialects/stream_watch.ts";
import { NetworkError } from "../base/errors.ts";

/** A piece of what a model says. */
export interface ChatPiece {
  readonly text: string;
  /** What it thinks before it answers. */
  readonly thought: string;
  /** Why it ends, in the last piece. */
  readonly finish?: string;
  /** What it took, where its engine says so. */
  readonly used?: Used;
}

/** What a model says, from where. */
export interface ChatAnswer {
  /** The node whose engine answers. */
  readonly nodeId: string;
  /** The model that answers, by the name that the network knows. */
  readonly model: string;
  readonly taskId: string;
  /** Leaving these stops the engine. */
  readonly pieces: AsyncGenerator<ChatPiece, void, void>;
}

/** Of what stands in the place of a piece, so much is shown. */
const MAX_SHOWN = 80;

/**
 * The answer in a response of `/v1/chat/completions` that comes in pieces.
 *
 * @param brokenOff What it fails with where it ends before its end.
 */
export function chatAnswer(
  { headers, body }: Response,
  brokenOff: (cause?: unknown) => NetworkError,
): ChatAnswer {
  return {
    nodeId: headers.get("x-hanzo-node") ?? "",
    model: decodeURI(headers.get("x-hanzo-model") ?? ""),
    taskId: headers.get("x-hanzo-task") ?? "",
    pieces: piecesIn(body!, brokenOff),
  };
}

async function* piecesIn(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  brokenOff: (cause?: unknown) => NetworkError,
): AsyncGenerator<ChatPiece, void, void> {
  const reader = new EventReader();
  const waiting: string[] = [];
  let isOver = false;
  const texts = body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await texts.next().catch((cause) => {
        throw brokenOff(cause);
      });
      if (done) break;
      reader.push(value, (data) => void waiting.push(data));
      for (const data of waiting.splice(0)) {
        if (data === "[DONE]") isOver = true;
        else if (data !== "") yield pieceIn(data);
      }
    }
  } finally {
    await texts.return?.();
  }
  if (!isOver && !reader.endsWithDone) throw brokenOff();
}

function pieceIn(data: string): ChatPiece {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    const shown = JSON.stringify(data.slice(0, MAX_SHOWN));
    throw new NetworkError("PROTOCOL", `Cannot read what the model says: ${shown}`, { cause });
  }
  const failure = errorIn(value);
  if (failure !== undefined) {
    throw errorOfOpenAi(isObject(value) ? value.error : undefined, failure, "AGENT_FAILED");
  }
  const chunk = value as ChatChunk;
  const { text = "", thought = "", finish } = firstSaid(chunk) ?? {};
  const used = usedIn(chunk);
  return { text, thought, ...(finish && { finish }), ...(used && { used }) };
}
