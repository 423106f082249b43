/** What a translator has to know at the end of an answer that came in pieces. */

import type { ChatChunk } from "./chat.ts";
import { firstSaid, type Said, type Used, usedIn } from "./chat_answer.ts";

/** See the top of the file. */
export class Tally {
  #used: Used | undefined;
  #pieces = 0;
  /** Why it ends, as soon as the engine says so. */
  finish: Said["finish"];
  /** The sequence that ended it, where the engine names it. */
  stoppedBy: Said["stoppedBy"];

  /** Takes the next piece; returns what its first choice says. */
  take(chunk: ChatChunk): Said | undefined {
    this.#used = usedIn(chunk) ?? this.#used;
    const said = firstSaid(chunk);
    if (said === undefined) return undefined;
    if (said.text !== "" || said.thought !== "" || said.calls.length > 0) this.#pieces++;
    this.finish = said.finish ?? this.finish;
    this.stoppedBy = said.stoppedBy ?? this.stoppedBy;
    return said;
  }

  /** Whether anything was said. */
  get hasSpoken(): boolean {
    return this.#pieces > 0;
  }

  /** What it took; where the engine does not say, each piece was one token. */
  get used(): Used {
    return this.#used ?? { input: 0, output: this.#pieces, cached: 0, reasoning: 0 };
  }
}
