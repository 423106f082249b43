/** The called side of a call. */

import type { NetworkError } from "../base/errors.ts";
import { checkBody, CREDIT_WINDOW, type IncomingCall } from "./call.ts";
import { Kind } from "./frame.ts";

/** Posts a part of an answer and returns how many bytes its body takes. */
export type Answer = (
  kind: typeof Kind.Item | typeof Kind.End,
  body: string | Uint8Array | undefined,
  options?: { error?: NetworkError; patient?: boolean },
) => number;

/** See the top of the file. */
export class ServedCall implements IncomingCall {
  readonly method: string;
  readonly body: Uint8Array;
  readonly #answer: Answer;
  #abort: AbortController | undefined;
  #cancelled: NetworkError | undefined;
  #credit = CREDIT_WINDOW;
  #wake: (() => void) | undefined;
  #ready: Promise<void> | undefined;
  #ended = false;

  constructor(method: string, body: Uint8Array, answer: Answer) {
    this.method = method;
    this.body = body;
    this.#answer = answer;
  }

  get abort(): AbortController {
    // Made when asked for: a call that is refused needs none.
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
    }
    return this.#abort;
  }

  begin(): void {
    if (this.#ended || this.#cancelled !== undefined) return;
    this.#answer(Kind.Item, "", { patient: true });
  }

  send(body: string | Uint8Array): Promise<void> | undefined {
    if (this.#ended || this.#cancelled !== undefined) return undefined;
    checkBody(body);
    this.#credit -= this.#answer(Kind.Item, body);
    if (this.#credit > 0) return undefined;
    this.#ready ??= new Promise((resolve) => this.#wake = resolve);
    return this.#ready;
  }

  end(body?: string | Uint8Array): void {
    if (this.#ended) return;
    if (body !== undefined) checkBody(body);
    this.#ended = true;
    this.#answer(Kind.End, body);
  }

  fail(error: NetworkError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#answer(Kind.End, undefined, { error });
  }

  grant(credit: number): void {
    // Never more than the window: a caller that grants without end must not fill this side.
    this.#credit = Math.min(this.#credit + credit, CREDIT_WINDOW);
    if (this.#credit > 0) this.#release();
  }

  cancel(reason: NetworkError): void {
    this.#cancelled = reason;
    this.#abort?.abort(reason);
    this.#release();
  }

  #release(): void {
    this.#wake?.();
    this.#wake = undefined;
    this.#ready = undefined;
  }
}
