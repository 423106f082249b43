/** Server-sent events: the data of each, out of bytes in whatever portions they come. */

import { NetworkError } from "../../base/errors.ts";
import { LineSplitter } from "../../base/lines.ts";

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
  const lines = new LineSplitter(MAX_EVENT_LENGTH);
  const events: string[] = [];
  let data: string[] = [];
  let length = 0;
  const take = (line: string) => {
    if (line === "") {
      if (data.length > 0) events.push(data.join("\n"));
      data = [];
      length = 0;
    } else if (line.startsWith("data:")) {
      const value = line.slice(line[5] === " " ? 6 : 5);
      length += value.length;
      if (length <= MAX_EVENT_LENGTH) data.push(value);
    }
  };
  for await (const bytes of body) {
    const areWithin = lines.push(decoder.decode(bytes, { stream: true }), take);
    yield* events.splice(0);
    if (!areWithin || length > MAX_EVENT_LENGTH) {
      throw new NetworkError(
        "PROTOCOL",
        `${action}: a piece of its answer is longer than ${MAX_EVENT_LENGTH} characters.`,
      );
    }
  }
}
