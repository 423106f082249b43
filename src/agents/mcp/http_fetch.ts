/** What an MCP server answers over HTTP, bounded. */

import { NetworkError } from "../../base/errors.ts";
import { needGranted } from "../../base/permissions.ts";
import { stoppable } from "../../base/stoppable.ts";

/** Of an answer, or of one event of a stream of them. */
const MAX_BYTES = 8 * 1024 * 1024;
const NEWLINE = 10;
const RETURN = 13;

/**
 * `fetch`, whose answers end where they become too large.
 *
 * @param onOver Told then: who reads a stream of events may not notice that one is missing.
 */
export function boundedFetch(name: string, onOver: () => void): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    needGranted(`Cannot reach MCP server "${name}"`, {
      name: "net",
      host: `${url.hostname}:${port}`,
    });
    const response = stoppable(await fetch(input, init), init?.signal);
    if (response.body === null) return response;
    const isStream = /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
    const body = response.body.pipeThrough(bound(name, isStream, onOver));
    return new Response(body, response);
  };
}

function bound(
  name: string,
  isStream: boolean,
  onOver: () => void,
): TransformStream<Uint8Array, Uint8Array> {
  let room = MAX_BYTES;
  let atStart = false;
  return new TransformStream({
    transform(chunk, controller) {
      for (const byte of chunk) {
        room--;
        if (!isStream || byte === RETURN) continue;
        // An empty line ends an event.
        if (byte === NEWLINE && atStart) room = MAX_BYTES;
        atStart = byte === NEWLINE;
      }
      if (room < 0) {
        controller.error(
          new NetworkError(
            "RESOURCE_EXHAUSTED",
            `Cannot read what MCP server "${name}" answers: it is more than ${MAX_BYTES} bytes.`,
          ),
        );
        onOver();
      } else controller.enqueue(chunk);
    },
  });
}
