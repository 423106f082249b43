/** Asks a node over its HTTP API: one question, one answer, and what is told when there is none. */

import { type Clock, doneWithin } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { isGranted, needGranted } from "../../base/permissions.ts";
import type { ErrorBody } from "../../gateway/control_api.ts";
import type { RunningNode } from "../../network/data_directory.ts";
import { directFetch, isUnsent } from "../direct_fetch.ts";
import { lines, toError } from "../node_answers.ts";

/** Where an API is and what it asks for. */
export type ApiEndpoint = Pick<RunningNode, "api" | "token">;

/** How long a node may take to answer a question about itself. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The same where it reads or writes all of the shared state, from and to a slow disk. */
export const LONG_ANSWER_TIMEOUT_MS = 600_000;

/** See the top of the file. */
export class NodeConnection {
  readonly #endpoint: ApiEndpoint;
  readonly #clock: Clock;

  constructor(endpoint: ApiEndpoint, clock: Clock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /**
   * Asks, and takes the JSON of the answer.
   *
   * @param path Below `/control/v1/`.
   * @param body Makes it a `POST`; a text goes as it is.
   * @throws {NetworkError} What the node says; when it says nothing within `patienceMs`,
   * `UNAVAILABLE`, or of a `POST` `UNKNOWN_OUTCOME`, for it may have done it; `CANCELLED` when the
   * signal aborts.
   */
  async answer<T>(
    path: string,
    signal?: AbortSignal,
    body?: object | string,
    patienceMs = ANSWER_TIMEOUT_MS,
  ): Promise<T> {
    const late = () => this.#late(patienceMs, body !== undefined);
    return await this.#within(patienceMs, signal, late, async (both) => {
      const response = await this.fetch(path, both, body);
      if (body === undefined) return await this.whole(() => response.json() as Promise<T>, signal);
      try {
        return await response.json() as T;
      } catch (cause) {
        throw signal?.aborted
          ? cancelled(cause)
          : this.#unknown("ended in the middle of it", cause);
      }
    });
  }

  /** The same for an answer that is text, and may be long. */
  async text(path: string, signal?: AbortSignal): Promise<string> {
    const patienceMs = LONG_ANSWER_TIMEOUT_MS;
    return await this.#within(patienceMs, signal, () => this.#late(patienceMs), async (both) => {
      const response = await this.fetch(path, both);
      return await this.whole(() => response.text(), signal);
    });
  }

  /**
   * The lines of an answer, however it ends: a node may die in the middle of it.
   *
   * @param silenceMs How long there may be no next line, if that is known: then the node hangs. A
   * question without a body is answered at once, by the beginning at least.
   */
  async *lines(
    path: string,
    signal?: AbortSignal,
    body?: object,
    silenceMs?: number,
  ): AsyncGenerator<string, void, void> {
    const impatience = new AbortController();
    const both = AbortSignal.any([impatience.signal, ...(signal === undefined ? [] : [signal])]);
    /** Only while the node is waited for: whoever reads may take as long as he likes. */
    const inTime = async <T>(next: Promise<T>): Promise<T> => {
      if (silenceMs === undefined || await doneWithin(this.#clock, silenceMs, next)) {
        return await next;
      }
      next.catch(() => {});
      impatience.abort();
      throw this.#unknown(`has said nothing for ${silenceMs / 1000} s`);
    };
    const late = () => this.#late(ANSWER_TIMEOUT_MS);
    const response = body === undefined
      ? await this.#within(ANSWER_TIMEOUT_MS, both, late, (begun) => this.fetch(path, begun))
      : await inTime(this.fetch(path, both, body));
    const all = lines(response);
    try {
      for (;;) {
        const next = await inTime(all.next());
        if (next.done) return;
        yield next.value;
      }
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      if (impatience.signal.aborted) throw cause;
      throw body === undefined ? this.#ended(cause) : this.brokenOff(cause);
    } finally {
      // Whoever reads no further ends the answer; one that hangs is not waited for.
      if (impatience.signal.aborted) all.return().catch(() => {});
      else await all.return();
    }
  }

  /** What a run fails with whose answer ends before its end. */
  brokenOff(cause?: unknown): NetworkError {
    return new NetworkError(
      "UNKNOWN_OUTCOME",
      `The node at ${this.#endpoint.api} ended in the middle of its answer, so how the rest of the ` +
        "work went is not known. Look whether it runs, and whether the work was done, before you " +
        "run it again.",
      { cause },
    );
  }

  /** What `read` comes to; a node that ends in the middle of its answer is told of. */
  async whole<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      throw this.#ended(cause);
    }
  }

  /**
   * Asks, and leaves the answer to be read.
   *
   * @param path Below `/control/v1/`, or from the root where it begins with a slash.
   * @throws {NetworkError} What the node says; `UNAVAILABLE` when nobody answers.
   */
  async fetch(
    path: string,
    signal?: AbortSignal,
    body?: object | string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const { api, token } = this.#endpoint;
    const url = new URL(path.startsWith("/") ? path : `/control/v1/${path}`, api);
    if (!isGranted({ name: "net", host: url.host })) {
      // Not just this port: the next node has another one.
      needGranted(`Cannot reach the node at ${api}`, { name: "net", host: url.hostname });
    }
    let response: Response;
    try {
      response = await directFetch(url, {
        signal,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          ...headers,
        },
        ...(body === undefined
          ? { method: "GET" }
          : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      if (body !== undefined && !isUnsent(cause)) throw this.#unknown("has not answered", cause);
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot reach the node at ${api}: it does not answer. Is it still running?`,
        { cause },
      );
    }
    if (!response.ok) {
      const body = await this.whole(() => response.json() as Promise<ErrorBody>, signal);
      throw toError(body, response.status);
    }
    return response;
  }

  /** What `work` comes to, if that does not take longer; it is told to stop then. */
  async #within<T>(
    patienceMs: number,
    signal: AbortSignal | undefined,
    late: () => NetworkError,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const impatience = new AbortController();
    const both = AbortSignal.any([impatience.signal, ...(signal === undefined ? [] : [signal])]);
    const answer = work(both);
    if (await doneWithin(this.#clock, patienceMs, answer)) return await answer;
    answer.catch(() => {});
    impatience.abort();
    throw late();
  }

  #ended(cause: unknown): NetworkError {
    return new NetworkError(
      "UNAVAILABLE",
      `Cannot reach the node at ${this.#endpoint.api}: it ended in the middle of its answer. ` +
        "Is it still running?",
      { cause },
    );
  }

  #late(patienceMs: number, isChange = false): NetworkError {
    const seconds = patienceMs / 1000;
    if (isChange) return this.#unknown(`has not answered within ${seconds} s`);
    return new NetworkError(
      "UNAVAILABLE",
      `Cannot reach the node at ${this.#endpoint.api}: it runs, but has not answered within ` +
        `${seconds} s. Is it stopped, or very busy?`,
    );
  }

  /** Of what changes something, or does some work: whether it has been done. */
  #unknown(what: string, cause?: unknown): NetworkError {
    return new NetworkError(
      "UNKNOWN_OUTCOME",
      `The node at ${this.#endpoint.api} was asked, and ${what}, so whether it was done is not ` +
        "known. Is the node stopped, or very busy? Look whether it was done before you do it again.",
      { cause },
    );
  }
}

/** What whoever asks has taken back. */
export function cancelled(cause: unknown): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled: what was asked for is stopped.", { cause });
}
