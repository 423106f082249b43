/** OpenAI's `/v1/embeddings`. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { NetworkError } from "../../base/errors.ts";
import { checkedAnswer } from "../chat_answer.ts";
import type { Dialect, JsonObject } from "../dialect.ts";
import { isAbsent, isObject, nameOf, without, wrongField } from "../fields.ts";
import { watchEvents } from "../stream_watch.ts";
import { breakOffOpenAi, refuseOpenAi } from "./errors.ts";

/** See the top of the file; an answer never comes in pieces. */
export const openAiEmbeddings: Dialect = {
  name: "openai-embeddings",
  path: "/v1/embeddings",
  streamType: "text/event-stream",
  read(body) {
    const model = nameOf(body.model, "model");
    const { input } = body;
    if (typeof input !== "string" && !Array.isArray(input)) {
      throw wrongField("input", input, "a text, or a list of texts");
    }
    return { model, stream: false };
  },
  toEmbeddings(body, { model }) {
    const wantsBase64 = body.encoding_format === "base64";
    return {
      request: without(body, ["model"]),
      whole: (answer) => ({
        ...answer,
        model,
        data: dataOf(answer).map((one) => ({
          ...one,
          embedding: encoded(one.embedding, wantsBase64),
        })),
      }),
    };
  },
  watch: () => watchEvents(() => {}),
  refuse: refuseOpenAi,
  breakOff: breakOffOpenAi,
};

/** The vectors of an answer in OpenAI's form, in the order of what was asked. */
export function vectorsOf(answer: JsonObject): number[][] {
  return dataOf(answer).map(({ embedding }) => encoded(embedding, false) as number[]);
}

function dataOf(answer: JsonObject): JsonObject[] {
  const { data } = checkedAnswer(answer, "data");
  const given = (data as JsonValue[]).filter(isObject);
  const hasOrder = given.every(({ index }) => typeof index === "number");
  return hasOrder ? given.toSorted((a, b) => Number(a.index) - Number(b.index)) : given;
}

/** As the client wants it, whichever of the two forms the engine knows. */
function encoded(embedding: JsonValue | undefined, wantsBase64: boolean): JsonValue {
  if (isAbsent(embedding)) return wantsBase64 ? "" : [];
  if (Array.isArray(embedding) && wantsBase64) {
    return new Uint8Array(Float32Array.from(embedding as number[]).buffer).toBase64();
  }
  if (typeof embedding === "string" && !wantsBase64) {
    const bytes = bytesOf(embedding);
    return [...new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4))];
  }
  return embedding;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new NetworkError(
      "PROTOCOL",
      "Cannot read the engine's embeddings: they are neither numbers nor Base64.",
      { cause },
    );
  }
}
