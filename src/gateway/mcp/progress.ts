/** Tells a client how a call fares while it waits, no faster than the client takes it. */

import type { ServerContext } from "@modelcontextprotocol/server";

/** Characters that wait to be told; what comes beyond is left out, for the answer has all of it. */
const MAX_WAITING = 16_384;

/** Takes what happens. Silent where the client has given no token for it. */
export class Progress {
  readonly #context: ServerContext["mcpReq"];
  #waiting = "";
  #told = 0;
  #telling: Promise<void> | undefined;

  constructor(context: ServerContext["mcpReq"]) {
    this.#context = context;
  }

  /** Adds to what is told next: what comes while a message is being sent goes out as one. */
  tell(text: string): void {
    const progressToken = this.#context._meta?.progressToken;
    if (progressToken === undefined || text === "") return;
    this.#waiting += text.slice(0, MAX_WAITING - this.#waiting.length);
    this.#telling ??= this.#tellAll(progressToken);
  }

  /** Resolves when all is told: nothing may come after the answer. */
  async end(): Promise<void> {
    await this.#telling;
  }

  async #tellAll(progressToken: string | number): Promise<void> {
    // A turn later: tokens that come together go together.
    await Promise.resolve();
    while (this.#waiting !== "" && !this.#context.signal.aborted) {
      const message = this.#waiting;
      this.#waiting = "";
      const params = { progressToken, progress: ++this.#told, message };
      try {
        await this.#context.notify({ method: "notifications/progress", params });
      } catch {
        // The client is gone; its end is noticed elsewhere.
        break;
      }
    }
    // Not a turn later: what is said in between would wait for somebody to say more.
    this.#telling = undefined;
  }
}
