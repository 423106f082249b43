/**
 * A server whose answers begin and do not end, and the collection of garbage after which Deno 2.9 has
 * forgotten the signals of the requests that it answers.
 *
 * @module
 */

import { collectGarbage } from "./garbage.ts";
import { soon } from "./soon.ts";

/** See the top of the file. */
export class UnendingServer implements AsyncDisposable {
  readonly #begun = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #open = new Set<ReadableStreamDefaultController>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(text: string, contentType = "application/json") {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      const start = (controller: ReadableStreamDefaultController) => {
        controller.enqueue(new TextEncoder().encode(text));
        this.#open.add(controller);
        this.#begun.resolve();
      };
      const cancel = () => {
        this.#open.clear();
        this.#gone.resolve();
      };
      const body = new ReadableStream({ start, cancel });
      return new Response(body, { headers: { "content-type": contentType } });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Resolves when an answer has begun, and who reads it has nothing but it in his hands. */
  async forgotten(): Promise<void> {
    await soon(this.#begun.promise, "the beginning of the answer");
    await forgetSignals();
  }

  /** Resolves when who was answered has gone. */
  async left(): Promise<void> {
    await soon(this.#gone.promise, "the end of the connection");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of this.#open) controller.close();
    await this.#server.shutdown();
  }
}

/** Collects garbage after the turns in which heads come that are under way. */
async function forgetSignals(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    collectGarbage();
  }
}
