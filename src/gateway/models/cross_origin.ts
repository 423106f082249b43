/**
 * Pages of programs of this machine, which use models from where they are shown: a browser lets them
 * only where the answer says so (CORS).
 */

import type { HttpAnswer, HttpRequest } from "../http/service.ts";

/** How long a browser may remember it, in seconds: as long as most do at all. */
const REMEMBERED_S = 7_200;

/** Whether a browser asks first whether a request may be made. */
export function isPreflight({ method, headers }: HttpRequest): boolean {
  return method === "OPTIONS" && headers.has("access-control-request-method");
}

/** That it may. Its origin was checked before. */
export function preflightAnswer({ headers }: HttpRequest): HttpAnswer {
  const asked = headers.get("access-control-request-headers");
  return {
    status: 204,
    headers: [
      ["access-control-allow-methods", "GET, POST, OPTIONS"],
      ...(asked === null ? [] : [["access-control-allow-headers", asked] as const]),
      ["access-control-max-age", `${REMEMBERED_S}`],
    ],
    body: null,
  };
}

/** The same answer, which the page that has asked may read. Its origin was checked before. */
export function readable(answer: HttpAnswer, { headers }: HttpRequest): HttpAnswer {
  const origin = headers.get("origin");
  if (origin === null) return answer;
  return {
    status: answer.status,
    headers: [
      ...answer.headers,
      ["access-control-allow-origin", origin],
      ["access-control-expose-headers", "*"],
      ["vary", "origin"],
    ],
    body: answer.body,
  };
}
