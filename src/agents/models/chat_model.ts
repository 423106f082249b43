/** Models that speak OpenAI's protocol, over whatever carries its bytes: a URL, or the network. */

import { type CancelTimer, type Clock, doneWithin, systemClock } from "../../base/clock.ts";
import { describeError, type ErrorCode, NetworkError } from "../../base/errors.ts";
import { AnswerInPieces, chatBody, MAX_ANSWER_BYTES, readAnswer, reasonIn } from "./chat_wire.ts";
import { eventData } from "./event_stream.ts";
import type { Model, ModelAnswer, ModelRequest } from "./model.ts";

/** A request on its way to a model. */
export interface ModelCall {
  /** The path, with the version: `/v1/chat/completions`. */
  readonly path: string;
  /** JSON. */
  readonly body: string;
  /** Stops it. */
  readonly signal: AbortSignal;
}

/** What comes back. */
export interface ModelReply {
  /** As HTTP has it. */
  readonly status: number;
  /** When to ask again, where a refusal says so. */
  readonly retryAfterMs?: number;
  /** Read once; leaving it stops the model. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Carries a request to a model, and its answer back.
 *
 * @throws {NetworkError} Why it could not be carried, or the signal's reason.
 */
export type SendToModel = (call: ModelCall) => Promise<ModelReply>;

/** What {@linkcode chatModel} takes. */
export interface ChatModelOptions {
  /** What the model is called there. */
  readonly name: string;
  readonly send: SendToModel;
  /** What errors begin with: `Cannot ask model "m" at http://…`. */
  readonly action: string;
  /** How long it may be silent, or take for an answer that is not streamed, in milliseconds. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  /** What helps when it refuses, by status, where that is known better here. */
  readonly mends?: Readonly<Record<number, string>>;
  /** Makes what a server says fit to be told: it may repeat a key. */
  readonly censor?: (said: string) => string;
}

/** How long a body may go on behind what the model has said last. */
const END_PATIENCE_MS = 1_000;

/** What refusals mean, and what helps. */
const REFUSALS: Readonly<Record<number, { code: ErrorCode; mend: string }>> = {
  400: { code: "INVALID_ARGUMENT", mend: "Does this model take tools, and so long a text?" },
  401: { code: "PERMISSION_DENIED", mend: "Give its engine the right key." },
  403: { code: "PERMISSION_DENIED", mend: "Give its engine a key that may use this model." },
  404: { code: "NOT_FOUND", mend: "Try: hanzo-network models" },
  408: { code: "DEADLINE_EXCEEDED", mend: "Allow more time." },
  413: { code: "INVALID_ARGUMENT", mend: "Send it less." },
  422: { code: "INVALID_ARGUMENT", mend: "Does this model take tools?" },
  429: { code: "RESOURCE_EXHAUSTED", mend: "Try again later, or use another key or model." },
  504: { code: "DEADLINE_EXCEEDED", mend: "Allow more time." },
};

/** See the top of the file. */
export function chatModel(options: ChatModelOptions): Model {
  const { name } = options;
  return Object.freeze({ name, generate: (request: ModelRequest) => generate(options, request) });
}

async function generate(
  options: ChatModelOptions,
  request: ModelRequest,
): Promise<ModelAnswer> {
  const { name, send, action, timeoutMs, clock = systemClock } = options;
  const { signal = new AbortController().signal, onToken } = request;
  signal.throwIfAborted();
  const patience = new Patience(clock, timeoutMs, () => late(action, timeoutMs!));
  const both = AbortSignal.any([signal, patience.signal]);
  try {
    const body = chatBody(name, request);
    const reply = await send({ path: "/v1/chat/completions", body, signal: both });
    if (reply.status < 200 || reply.status > 299) {
      throw refused(options, reply, reasonIn(await readBody(reply.body, action)));
    }
    if (onToken === undefined) return readAnswer(await readBody(reply.body, action), action);
    return await readPieces(reply.body, onToken, action, patience);
  } catch (thrown) {
    // The sender says what it was aborted with, or something of its own.
    both.throwIfAborted();
    if (thrown instanceof NetworkError) throw thrown;
    throw new NetworkError(
      "UNAVAILABLE",
      `${action}: its answer broke off (${describeError(thrown)}). Try again.`,
      { cause: thrown },
    );
  } finally {
    patience.end();
  }
}

async function readPieces(
  body: AsyncIterable<Uint8Array>,
  onToken: NonNullable<ModelRequest["onToken"]>,
  action: string,
  patience: Patience,
): Promise<ModelAnswer> {
  const answer = new AnswerInPieces(action);
  const events = eventData(limited(body, action, patience), action);
  for await (const data of events) {
    if (data === "[DONE]") {
      await patience.forEnd(events.next());
      return answer.answer(true);
    }
    const said = answer.push(data);
    if (said === "") continue;
    const taken = onToken(said);
    if (taken === undefined) continue;
    // Whoever takes his time is not the model.
    patience.rest();
    await taken;
    patience.renew();
  }
  return answer.answer(false);
}

/** The body, but no more than so much of it. */
async function* limited(
  body: AsyncIterable<Uint8Array>,
  action: string,
  patience?: Patience,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0;
  for await (const piece of body) {
    patience?.renew();
    length += piece.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new NetworkError(
        "PROTOCOL",
        `${action}: its answer is longer than ${MAX_ANSWER_BYTES} bytes.`,
      );
    }
    yield piece;
  }
}

async function readBody(body: AsyncIterable<Uint8Array>, action: string): Promise<Uint8Array> {
  const pieces = await Array.fromAsync(limited(body, action));
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** How long somebody may be silent. */
class Patience {
  readonly #clock: Clock;
  readonly #limitMs: number | undefined;
  readonly #error: () => NetworkError;
  readonly #late = new AbortController();
  #cancel: CancelTimer = () => {};

  constructor(clock: Clock, limitMs: number | undefined, error: () => NetworkError) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#error = error;
    this.renew();
  }

  /** Aborts when it has run out. */
  get signal(): AbortSignal {
    return this.#late.signal;
  }

  /** Begins anew. */
  renew(): void {
    this.#cancel();
    if (this.#limitMs === undefined) return;
    this.#cancel = this.#clock.after(this.#limitMs, () => this.#late.abort(this.#error()));
  }

  /** Until it is renewed nobody waits. */
  rest(): void {
    this.#cancel();
  }

  /**
   * Waits for the end of what has said its last, but not for long: who leaves before it leaves a
   * model that has done all its work as if it had been stopped.
   */
  async forEnd(end: Promise<unknown>): Promise<void> {
    this.rest();
    // What goes wrong behind the answer is of no account.
    const isOver = await doneWithin(this.#clock, END_PATIENCE_MS, end.catch(() => {}));
    if (!isOver) this.#late.abort(new NetworkError("CANCELLED", "It has said its last."));
  }

  end(): void {
    this.#cancel();
  }
}

function late(action: string, timeoutMs: number): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `${action}: no answer within ${timeoutMs} ms. Allow more with timeoutMs.`,
  );
}

function refused(
  { action, mends = {}, censor = (said) => said }: ChatModelOptions,
  { status, retryAfterMs }: ModelReply,
  reason: string,
): NetworkError {
  const said = censor(reason);
  const { code, mend } = REFUSALS[status] ?? {
    code: status >= 500 ? "UNAVAILABLE" : "PROTOCOL",
    mend: status >= 500 ? "Look into the server's log." : mends[0] ?? "Is it a model's server?",
  };
  const message = `${action}: status ${status}${said && `, "${said}"`}. ${mends[status] ?? mend}`;
  return new NetworkError(code, message, { ...(retryAfterMs !== undefined && { retryAfterMs }) });
}
