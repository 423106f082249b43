/** The port by which engines are asked: one request of HTTP, its answer as it comes. */

/** One request. */
export interface EngineRequest {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Closes the connection, whatever goes on there. */
  readonly signal: AbortSignal;
  /** Is called when somebody has accepted the connection. */
  readonly onConnected?: () => void;
}

/** The head of an answer, and its body as it comes. */
export interface EngineResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Read once; leaving it closes the connection. It rejects when the answer breaks off. */
  readonly body: AsyncIterable<Uint8Array>;
  /** All of the body at once, where that is shorter to come by; instead of `body`. */
  readonly bytes?: () => Promise<Uint8Array>;
  /** Closes the connection of a body that nobody reads; idempotent. */
  close(): void;
}

/**
 * Sends a request and resolves with the head of its answer. Redirects are not followed.
 *
 * @throws {NetworkError} `PERMISSION_DENIED` where the address may not be talked to; `UNAVAILABLE`
 * when nobody accepts the connection; `PROTOCOL` when what comes is no answer, or breaks off.
 * The signal's reason when it aborts.
 */
export type EngineHttp = (request: EngineRequest) => Promise<EngineResponse>;
