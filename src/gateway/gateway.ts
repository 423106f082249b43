/** The HTTP API of a node, on the loopback: what the command line talks to. */

import { type Clock, systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { ulidMaker } from "../base/ulid.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import { onFirstFreePort } from "../transport/first_free_port.ts";
import { bearsToken, foreignRefusalOf, modelRefusalOf, refusalOf } from "./access.ts";
import { controlApi } from "./control_api.ts";
import { errorResponse } from "./error_response.ts";
import { JsonBodies } from "./json_bodies.ts";
import { isPreflight, preflightAnswer, readable } from "./models/cross_origin.ts";
import { isModelPath, modelApi } from "./models/model_api.ts";
import { dialectFor, dismissalIn } from "./models/model_response.ts";
import { HttpListener } from "./http/listener.ts";
import type { HttpReport } from "./http/report.ts";
import type { HttpRequest, HttpService } from "./http/service.ts";

/** What a {@linkcode Gateway} is made of. */
export interface GatewayOptions {
  readonly network: DistributedNetwork;
  /** The port; undefined: 5680 or, where that is taken, one of the next hundred. */
  readonly port: number | undefined;
  /** What requests must bear: 256 bits. */
  readonly token: string;
  readonly logger: Logger;
  /** Bounds what clients may take, and the stop. @default {systemClock} */
  readonly clock?: Clock;
}

/** The first port that is tried when none is given. */
export const DEFAULT_API_PORT = 5680;
const HOST = "127.0.0.1";
/** How long clients may take to read the end of their answers when the API stops. */
const STOP_PATIENCE_MS = 1_000;

/** Nothing of an answer is kept, guessed at, framed or run, wherever a browser shows it. */
const HEADERS = [
  ["cache-control", "no-store"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
] as const;

/** See the top of the file. */
export class Gateway {
  readonly #listener: HttpListener;
  #stopped: Promise<void> | undefined;

  private constructor(listener: HttpListener) {
    this.#listener = listener;
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when a port that was asked for is taken.
   */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { port, logger } = options;
    if (port !== undefined) return new Gateway(await listen(options, port));
    const listener = await onFirstFreePort(DEFAULT_API_PORT, (next) => listen(options, next));
    if (listener.port !== DEFAULT_API_PORT) {
      logger.info("Port {taken} is taken; the API listens on {port}", {
        taken: DEFAULT_API_PORT,
        port: listener.port,
      });
    }
    return new Gateway(listener);
  }

  /** The base URL. */
  get url(): string {
    return `http://${HOST}:${this.#listener.port}`;
  }

  /** How the API fares: who is connected, and who was turned away. */
  report(): HttpReport {
    return this.#listener.report();
  }

  /** Ends what is being answered and stops listening; idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#listener.close(
      new NetworkError("CANCELLED", "Stopped: the node is stopping."),
      STOP_PATIENCE_MS,
    );
    return this.#stopped;
  }
}

function listen(options: GatewayOptions, port: number): Promise<HttpListener> {
  const { logger, clock = systemClock } = options;
  return HttpListener.listen({
    host: HOST,
    port,
    clock,
    logger,
    headers: HEADERS,
    service: (port) => service(options, port),
  });
}

function service(
  { network, token, logger, clock = systemClock }: GatewayOptions,
  port: number,
): HttpService {
  const bodies = new JsonBodies();
  const control = controlApi(network, bodies);
  const models = modelApi({
    network,
    bodies,
    isTrusted: (request) => bearsToken(request, token),
    newId: ulidMaker(clock, systemRandom),
  });
  return {
    admit(request) {
      const path = request.url.pathname;
      // Ollama's own command looks at "/" before it asks anything.
      const isHealth = isRead(request) && path === "/healthz" ||
        request.method === "HEAD" && path === "/";
      const refusal = isHealth
        ? foreignRefusalOf(request, port)
        : isModelPath(path)
        ? modelRefusalOf(request, port)
        : refusalOf(request, port, token);
      if (refusal !== undefined) {
        const { status, message } = refusal;
        if (!isModelPath(path)) return errorResponse(status, "PERMISSION_DENIED", message);
        const code = status === 415 ? "INVALID_ARGUMENT" : "PERMISSION_DENIED";
        return dismissalIn(dialectFor(request), { status, code, message });
      }
      if (isModelPath(path) && isPreflight(request)) {
        return readable(preflightAnswer(request), request);
      }
      return isHealth ? new Response("ok\n") : undefined;
    },
    async answer(request, ending) {
      if (!isModelPath(request.url.pathname)) return await control(request, ending);
      return readable(await models(request, ending), request);
    },
    refuse(fault, request) {
      const { status, code, message, retryAfterMs } = fault;
      return request !== undefined && isModelPath(request.url.pathname)
        ? dismissalIn(dialectFor(request), fault)
        : errorResponse(status, code, message, retryAfterMs);
    },
    fail(thrown) {
      logger.error("The API failed: {reason}", { reason: describeError(thrown) });
      return errorResponse(500, "INTERNAL", "The node failed to answer; its log says why.");
    },
  };
}

function isRead({ method }: HttpRequest): boolean {
  return method === "GET" || method === "HEAD";
}
