/** A request of Node's server as the service sees it. */

import type { IncomingMessage } from "node:http";
import { HttpFault } from "./fault.ts";
import type { HttpRequest } from "./service.ts";

/**
 * The request.
 *
 * @param base What stands before its path: `http://127.0.0.1:5680`.
 * @param onWanted Called when somebody begins to read its body.
 * @throws {HttpFault} When it is none that the web knows.
 */
export function incomingRequest(
  message: IncomingMessage,
  base: string,
  onWanted: () => void,
): HttpRequest {
  const { method = "", url: path = "", headers: known, rawHeaders } = message;
  const url = path.startsWith("/") ? URL.parse(base + path) : null;
  // What a request says is not to be shown to a page, which TRACE would do.
  if (url === null || method === "TRACE") {
    throw new HttpFault(400, "its method, its path or its headers are none.");
  }
  const hasBody = (known["content-length"] ?? known["transfer-encoding"] ?? "0") !== "0" &&
    // These have none, and nobody wants it.
    method !== "GET" && method !== "HEAD";
  return {
    method,
    url,
    headers: new HeadersAsTheyCame(rawHeaders),
    body: hasBody ? piecesOf(message, onWanted) : null,
  };
}

/** What Node itself has of them leaves out what comes twice where it may come once. */
class HeadersAsTheyCame {
  readonly #values = new Map<string, string>();

  constructor(raw: readonly string[]) {
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i].toLowerCase();
      const before = this.#values.get(name);
      this.#values.set(name, before === undefined ? raw[i + 1] : `${before}, ${raw[i + 1]}`);
    }
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }
}

/** Whoever reads no further may still want to answer, so leaving it leaves the connection. */
async function* piecesOf(
  message: IncomingMessage,
  onWanted: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  let wake = () => {};
  let isOver = false;
  const over = () => {
    isOver = true;
    wake();
  };
  const more = () => wake();
  onWanted();
  message.on("readable", more).on("end", over).on("error", over).on("close", over);
  try {
    for (;;) {
      const piece = message.read();
      if (piece !== null) yield piece;
      else if (message.readableEnded) return;
      else if (isOver || message.destroyed) throw new Error("The request broke off.");
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    message.off("readable", more).off("end", over).off("error", over).off("close", over);
  }
}
