/** An MCP server as long as a node has a use for it: started when it is needed, and again when it has died. */

import type { Tool as ListedTool } from "@modelcontextprotocol/client";
import type { JsonValue } from "../../base/bounded_json.ts";
import type { Clock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { withTimeLimit } from "../../base/time_limit.ts";
import type { McpServerOptions } from "./server_options.ts";
import { reasonOf, statusOf } from "./reason.ts";
import { openSession, type Session } from "./session.ts";
import { toolResult } from "./tool_result.ts";

const CALL_TIMEOUT_MS = 120_000;
/** Ours comes first, by the node's clock. */
const NO_LIMIT_MS = 2 ** 31 - 1;
/** How long after it has died, or did not start, it is started again; twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** One that has lived as long as this is started again at once. */
const LIVED_WELL_MS = 60_000;

/** What an {@linkcode McpConnection} is made of. */
export interface ConnectionOptions {
  /** What its user calls it. */
  readonly name: string;
  readonly server: McpServerOptions;
  readonly clock: Clock;
  readonly logger: Logger;
}

type State =
  /** Nobody has needed it yet. */
  | { readonly is: "idle" }
  | { readonly is: "starting"; readonly session: Promise<Session> }
  | { readonly is: "open"; readonly session: Session; readonly since: number }
  /** It has died or did not start, and is left alone for a while. */
  | { readonly is: "down"; readonly until: number; readonly why: string }
  | { readonly is: "closed" };

/** See the top of the file. */
export class McpConnection {
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  #state: State = { is: "idle" };
  #failures = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Where it is in its life. */
  get state(): State["is"] {
    return this.#state.is;
  }

  /**
   * The tools that the server has now; starts it if it does not run.
   *
   * @throws {NetworkError} Why it cannot be used: `UNAVAILABLE`, with `retryAfterMs` while it is
   * left alone after it has died.
   */
  async tools(signal: AbortSignal): Promise<readonly ListedTool[]> {
    return (await this.#session(signal)).tools();
  }

  /**
   * Calls a tool by the server's own name for it.
   *
   * @throws {NetworkError} `AGENT_FAILED` with what the tool says, or when that is no answer, `INVALID_ARGUMENT` when it does
   * not take the arguments, `RESOURCE_EXHAUSTED` when its server has too much to do, `DEADLINE_EXCEEDED`, the signal's reason, or `UNKNOWN_OUTCOME` when the
   * server died meanwhile.
   */
  async call(tool: string, args: Record<string, unknown>, signal: AbortSignal): Promise<JsonValue> {
    const { name, server, clock } = this.#options;
    const called = `Tool "${tool}" of MCP server "${name}"`;
    const limitMs = server.callTimeoutMs ?? CALL_TIMEOUT_MS;
    const error = () =>
      new NetworkError(
        "DEADLINE_EXCEEDED",
        `${called} did not answer within ${limitMs / 1000} s. Give it longer by callTimeoutMs.`,
      );
    const attempt = async (isSecond: boolean): Promise<JsonValue> => {
      const session = await this.#session(signal);
      return await withTimeLimit({ clock, limitMs, error, signal }, async (signal) => {
        try {
          const request = { signal, timeout: NO_LIMIT_MS };
          const params = { name: tool, arguments: args };
          return toolResult(await session.client.callTool(params, request), called);
        } catch (thrown) {
          if (signal.aborted) throw signal.reason;
          if (isSecond || !await isForgotten(thrown)) {
            throw await this.#failure(thrown, called, session);
          }
          await this.#forget(session);
        }
        return await attempt(true);
      });
    };
    return await attempt(false);
  }

  /** Ends it, and what is under way there; idempotent. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#state = { is: "closed" };
    this.#closing.abort(this.#closed());
    if (state.is === "open") await state.session.close();
    if (state.is === "starting") await state.session.catch(() => {});
  }

  async #session(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    const state = this.#state;
    if (state.is === "open") return state.session;
    if (state.is === "closed") throw this.#closed();
    if (state.is === "down") this.#throwIfLeftAlone(state);
    const starting = state.is === "starting" ? state.session : this.#start();
    // Who waits may give up; others may wait, too, so the start goes on.
    const gaveUp = Promise.withResolvers<never>();
    const onAbort = () => gaveUp.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([starting, gaveUp.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #start(): Promise<Session> {
    const { clock } = this.#options;
    const session = openSession({
      ...this.#options,
      signal: this.#closing.signal,
      onEnd: (why) => this.#ended(session, why),
    }).then((opened) => {
      // It was closed in the moment in which it was ready.
      if (this.#state.is === "closed") {
        return opened.close().then(() => Promise.reject(this.#closed()));
      }
      if (this.#isStarting(session)) {
        this.#state = { is: "open", session: opened, since: clock.now() };
      }
      return opened;
    });
    this.#state = { is: "starting", session };
    session.catch((thrown) => {
      if (this.#isStarting(session)) this.#down(describeError(thrown));
    });
    return session;
  }

  #isStarting(session: Promise<Session>): boolean {
    return this.#state.is === "starting" && this.#state.session === session;
  }

  /** The server has ended although nobody has asked it to. */
  async #ended(opened: Promise<Session>, why: string): Promise<void> {
    const session = await opened;
    const state = this.#state;
    if (state.is !== "open" || state.session !== session) return;
    const { name, logger } = this.#options;
    this.#lost(state, `It has ended.${why}`);
    logger.warn('MCP server "{name}" has ended, and is started again when it is needed: {why}', {
      name,
      why: why.trim() || "it has closed the connection",
    });
  }

  /** It was there, and is no more. */
  #lost({ since }: State & { is: "open" }, why: string): void {
    if (this.#options.clock.now() - since < LIVED_WELL_MS) return this.#down(why);
    this.#failures = 0;
    this.#state = { is: "idle" };
  }

  #down(why: string): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures++;
    this.#state = { is: "down", until: this.#options.clock.now() + pauseMs, why };
  }

  #throwIfLeftAlone({ until, why }: State & { is: "down" }): void {
    const retryAfterMs = Math.ceil(until - this.#options.clock.now());
    if (retryAfterMs <= 0) return;
    throw new NetworkError(
      "UNAVAILABLE",
      `MCP server "${this.#options.name}" is not there, and is started again in ` +
        `${Math.ceil(retryAfterMs / 1000)} s at the earliest. ${why}`,
      { retryAfterMs },
    );
  }

  async #failure(thrown: unknown, called: string, session: Session): Promise<NetworkError> {
    if (thrown instanceof NetworkError) return thrown;
    const { ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode } = await import(
      "@modelcontextprotocol/client"
    );
    const reason = reasonOf(thrown);
    if (thrown instanceof ProtocolError) {
      const isArgument = thrown.code === ProtocolErrorCode.InvalidParams;
      return new NetworkError(
        isArgument ? "INVALID_ARGUMENT" : "AGENT_FAILED",
        `${called} refused the call: ${describeError(thrown)}`,
        { cause: thrown },
      );
    }
    const { InvalidResult, UnsupportedResultType } = SdkErrorCode;
    if (
      thrown instanceof SdkError &&
      (thrown.code === InvalidResult || thrown.code === UnsupportedResultType)
    ) {
      return new NetworkError(
        "AGENT_FAILED",
        `${called} answered what is no answer of a tool: ${reason}`,
        { cause: thrown },
      );
    }
    if (this.#state.is === "closed") return this.#closed();
    const status = statusOf(thrown) ?? 0;
    if (status === 429 || status === 503) {
      return new NetworkError(
        "RESOURCE_EXHAUSTED",
        `${called} was not called, its server has too much to do: ${reason}. Try again later.`,
        { cause: thrown },
      );
    }
    // Over HTTP nobody says that a server has ended: it is asked anew the next time.
    const state = this.#state;
    if (state.is === "open" && state.session === session) {
      this.#lost(state, reason);
      await session.close();
    }
    return new NetworkError(
      "UNKNOWN_OUTCOME",
      `${called} was not answered, so whether it has done its work is not known: ${reason}. Look ` +
        "whether it was done before you call it again.",
      { cause: thrown },
    );
  }

  /** The server knows nothing of the session any more: it was started anew. */
  async #forget(session: Session): Promise<void> {
    if (this.#state.is === "open" && this.#state.session === session) this.#state = { is: "idle" };
    await session.close();
  }

  #closed(): NetworkError {
    return new NetworkError(
      "CANCELLED",
      `MCP server "${this.#options.name}" is not used any more: the node stops, or no agent here has it now.`,
    );
  }
}

/** Whether a server over HTTP has refused a call because it does not know the session. */
async function isForgotten(thrown: unknown): Promise<boolean> {
  const { SdkHttpError } = await import("@modelcontextprotocol/client");
  return thrown instanceof SdkHttpError && statusOf(thrown) === 404;
}
