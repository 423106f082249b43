/** The bodies of requests to models: an object of JSON, and the text that it was. */

import { NetworkError } from "../../base/errors.ts";
import type { JsonObject } from "../../dialects/dialect.ts";
import type { JsonBodies } from "../json_bodies.ts";
import type { HttpRequest } from "../http/service.ts";

/** A body. */
export interface ModelRequest {
  readonly body: JsonObject;
  /** As it came, for whom its bytes count. */
  readonly text: string;
}

/** Levels of nesting of a body: schemas of tools are deep. */
const MAX_DEPTH = 128;

/**
 * Reads a request.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no object of JSON, or too long;
 * `RESOURCE_EXHAUSTED` when too much is being read.
 */
export async function readModelRequest(
  bodies: JsonBodies,
  request: HttpRequest,
): Promise<ModelRequest> {
  const { text, value } = await bodies.readText(request, MAX_DEPTH).catch((thrown) => {
    const error = NetworkError.from(thrown);
    // It is the client that has not kept to the protocol: asked again it says the same.
    if (error.code !== "PROTOCOL") throw error;
    throw new NetworkError("INVALID_ARGUMENT", error.message, { cause: error });
  });
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { body: value as JsonObject, text };
  }
  throw new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot read the request: its body is no object of JSON.",
  );
}
