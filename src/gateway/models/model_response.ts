/** Answers and errors as each dialect has them. */

import { NetworkError } from "../../base/errors.ts";
import type { CallError, Dialect } from "../../dialects/dialect.ts";
import { dialectOf, DIALECTS } from "../../dialects/dialects.ts";
import type { HttpRequest } from "../http/service.ts";

/** The dialect whose words the client of a request understands, also where no such path is. */
export function dialectFor({ headers, url: { pathname } }: HttpRequest): Dialect {
  const known = dialectOf(pathname);
  if (known !== undefined) return known;
  if (pathname.startsWith("/api/")) return DIALECTS["ollama-chat"];
  const isAnthropic = headers.has("anthropic-version") || pathname.startsWith("/v1/messages");
  return DIALECTS[isAnthropic ? "anthropic-messages" : "openai-chat"];
}

/** A refusal that has a status of its own. */
export function dismissalIn(
  dialect: Dialect,
  error: CallError & { readonly status: number },
): Response {
  const { status, retryAfterMs } = error;
  return Response.json(dialect.refuse(error).body, { status, headers: patienceOf(retryAfterMs) });
}

/** An error in place of an answer. */
export function refusalIn(dialect: Dialect, error: NetworkError): Response {
  const { status, body } = dialect.refuse(error);
  return Response.json(body, { status, headers: patienceOf(error.retryAfterMs) });
}

function patienceOf(retryAfterMs: number | undefined): Record<string, string> {
  return retryAfterMs === undefined ? {} : { "retry-after": `${Math.ceil(retryAfterMs / 1_000)}` };
}

/** There is no such path: not what a dialect says where a model is missing. */
export function noPathIn(dialect: Dialect, message: string): Response {
  const code = dialect.name.startsWith("openai-") ? "INVALID_ARGUMENT" : "NOT_FOUND";
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
