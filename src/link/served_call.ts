/** The called side of a call. */

import { Cancellation } from "../base/cancellation.ts";
import type { NetworkError } from "../base/errors.ts";
import { checkBody, CREDIT_WINDOW, creditOf, type IncomingCall } from "./call.ts";
import { type Body, Kind } from "./frame.ts";

/** Posts a part of an answer and returns how many bytes its body takes. */
export type Answer = (
  kind: typeof Kind.Item | typeof Kind.End,
  body: Body | undefined,
  options?: { error?: NetworkError; patient?: boolean },
) => number;

/** See the top of the file. */
export class ServedCall implements IncomingCall {
  readonly method: string;
  readonly body: Uint8Array;
  readonly cancellation: Cancellation = new Cancellation();
  readonly #answer: Answer;
  /** The other side listens no more. */
  #cancelled = false;
  #credit = CREDIT_WINDOW;
  #wake: (() => void) | undefined;
  #ready: Promise<void> | undefined;
  #ended = false;

  constructor(method: string, body: Uint8Array, answer: Answer) {
    this.method = method;
    this.body = body;
    this.#answer = answer;
  }

  begin(): void {
    if (this.#ended || this.#cancelled) return;
    this.#credit -= creditOf(this.#answer(Kind.Item, "", { patient: true }));
  }

  send(body: Body): Promise<void> | undefined {
    if (this.#ended || this.#cancelled) return undefined;
    checkBody(body);
    this.#credit -= creditOf(this.#answer(Kind.Item, body));
    if (this.#credit > 0) return undefined;
    this.#ready ??= new Promise((resolve) => this.#wake = resolve);
    return this.#ready;
  }

  end(body?: Body): void {
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
    this.#cancelled = true;
    this.cancellation.cancel(reason);
    this.#release();
  }

  #release(): void {
    this.#wake?.();
    this.#wake = undefined;
    this.#ready = undefined;
  }
}
