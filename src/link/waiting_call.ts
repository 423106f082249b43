/** The calling side of a call. */

import { type CallSink, CREDIT_WINDOW, creditOf, type OutgoingCall } from "./call.ts";
import { Kind, type OutgoingMessage } from "./frame.ts";

/** A call that this side made and that has not ended. */
export class WaitingCall implements OutgoingCall {
  readonly id: number;
  readonly sink: CallSink;
  /** Bytes that the other side may still send. */
  credit: number = CREDIT_WINDOW;
  /** Bytes consumed and not yet granted again. */
  #consumed = 0;
  readonly #post: (message: OutgoingMessage) => void;

  /** @param post Sends on the call's behalf; nothing once the call has ended. */
  constructor(id: number, sink: CallSink, post: (message: OutgoingMessage) => void) {
    this.id = id;
    this.sink = sink;
    this.#post = post;
  }

  cancel(): void {
    this.#post({ kind: Kind.Cancel, call: this.id });
  }

  consumed(bytes: number): void {
    this.#consumed += creditOf(bytes);
    if (this.#consumed * 2 < CREDIT_WINDOW) return;
    this.#post({ kind: Kind.Credit, call: this.id, credit: this.#consumed });
    this.credit += this.#consumed;
    this.#consumed = 0;
  }
}
