/** Answers and errors as each dialect has them. */

import { NetworkError } from "../../base/errors.ts";
import type { Dialect } from "../../dialects/dialect.ts";

/** An error in place of an answer. */
export function refusalIn(dialect: Dialect, error: NetworkError): Response {
  const { status, body } = dialect.refuse(error);
  const headers = new Headers();
  if (error.retryAfterMs !== undefined) {
    headers.set("retry-after", `${Math.ceil(error.retryAfterMs / 1_000)}`);
  }
  return Response.json(body, { status, headers });
}

/** There is no such path: not what a dialect says where a model is missing. */
export function noPathIn(dialect: Dialect, message: string): Response {
  const code = dialect.name === "openai-chat" ? "INVALID_ARGUMENT" : "NOT_FOUND";
  return Response.json(dialect.refuse({ code, message }).body, { status: 404 });
}

/** Pieces, and where they break off the error that ends them: the status was sent long ago. */
export async function* piecesOf(
  dialect: Dialect,
  pieces: AsyncGenerator<string, void, void>,
): AsyncGenerator<string, void, void> {
  const followed = dialect.follow?.();
  try {
    if (followed === undefined) return yield* pieces;
    for await (const piece of pieces) {
      followed.push(piece);
      yield piece;
    }
  } catch (thrown) {
    yield (followed ?? dialect).breakOff(NetworkError.from(thrown));
  }
}
