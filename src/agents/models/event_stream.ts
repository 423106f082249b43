/** Server-sent events: the data of each, out of bytes in whatever portions they come. */

import { NetworkError } from "../../base/errors.ts";

/** The longest event, in UTF-16 units. */
const MAX_EVENT_LENGTH = 4 * 1024 * 1024;

/**
 * The data of the events of a body; comments and names are left out, and so is an event that the end
 * of the body cuts off.
 *
 * @param action What cannot be done otherwise.
 * @throws {NetworkError} `PROTOCOL` when an event does not end.
 */
export async function* eventData(
  body: AsyncIterable<Uint8Array>,
  action: string,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    let from = 0;
    for (let end = lineEnd(rest, from); end !== undefined; end = lineEnd(rest, from)) {
      const line = rest.slice(from, end.at);
      from = end.next;
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    }
    rest = rest.slice(from);
    if (rest.length + data.reduce((sum, { length }) => sum + length, 0) > MAX_EVENT_LENGTH) {
      throw new NetworkError(
        "PROTOCOL",
        `${action}: a piece of its answer is longer than ${MAX_EVENT_LENGTH} characters.`,
      );
    }
  }
}

/** Where the line ends that begins at `from`, and the next one begins: after CR, LF, or both. */
function lineEnd(text: string, from: number): { at: number; next: number } | undefined {
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 10) return { at, next: at + 1 };
    if (unit !== 13) continue;
    // What follows is not there yet, and may belong to it.
    if (at + 1 === text.length) return undefined;
    return { at, next: text.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 };
  }
  return undefined;
}
