/** How errors are told over HTTP. */

import type { ErrorCode, NetworkError } from "../base/errors.ts";

/** An error as it is told to clients. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; retryAfterMs?: number };
}

/** An error as a value for JSON. */
export function errorBody(
  { code, message, retryAfterMs }: Pick<NetworkError, "code" | "message" | "retryAfterMs">,
): ErrorBody {
  return { error: { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
}

/** An error as JSON. */
export function errorResponse(
  status: number,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): Response {
  const headers = new Headers();
  if (retryAfterMs !== undefined) headers.set("retry-after", `${Math.ceil(retryAfterMs / 1000)}`);
  return Response.json(errorBody({ code, message, retryAfterMs }), { status, headers });
}
