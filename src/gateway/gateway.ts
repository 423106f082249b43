/** The HTTP API of a node, on the loopback: what the command line talks to. */

import { type Clock, doneWithin, systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import { onFirstFreePort } from "../transport/first_free_port.ts";
import { refusalOf } from "./access.ts";
import { controlApi, errorResponse } from "./control_api.ts";

/** What a {@linkcode Gateway} is made of. */
export interface GatewayOptions {
  readonly network: DistributedNetwork;
  /** The port; undefined: 5680 or, where that is taken, one of the next hundred. */
  readonly port: number | undefined;
  /** What requests must bear: 256 bits. */
  readonly token: string;
  readonly logger: Logger;
  /** Bounds the stop. @default {systemClock} */
  readonly clock?: Clock;
}

/** The first port that is tried when none is given. */
export const DEFAULT_API_PORT = 5680;
const HOST = "127.0.0.1";
/** How long clients may take to read the end of their answers when the API stops. */
const STOP_PATIENCE_MS = 1_000;

/** What is known of a server that runs. */
interface Serving {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly clock: Clock;
  /** Ends what is being answered. */
  readonly stopping: AbortController;
  /** Closes all connections. */
  readonly closing: AbortController;
  /** One promise for each answer that has not wholly gone out. */
  readonly answers: ReadonlySet<Promise<void>>;
}

/** See the top of the file. */
export class Gateway {
  readonly #serving: Serving;
  #stopped: Promise<void> | undefined;

  private constructor(serving: Serving) {
    this.#serving = serving;
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when a port that was asked for is taken.
   */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { port, logger } = options;
    if (port !== undefined) return Gateway.#listen(options, port);
    const gateway = await onFirstFreePort(
      DEFAULT_API_PORT,
      (next) => Gateway.#listen(options, next),
    );
    const { port: chosen } = gateway.#serving.server.addr;
    if (chosen !== DEFAULT_API_PORT) {
      logger.info("Port {taken} is taken; the API listens on {port}", {
        taken: DEFAULT_API_PORT,
        port: chosen,
      });
    }
    return gateway;
  }

  static #listen(options: GatewayOptions, port: number): Gateway {
    const { network, token, logger, clock = systemClock } = options;
    const stopping = new AbortController();
    const closing = new AbortController();
    const answers = new Set<Promise<void>>();
    const control = controlApi(network, stopping.signal);
    let server: Deno.HttpServer<Deno.NetAddr>;
    const handle = (
      request: Request,
      { completed }: Deno.ServeHandlerInfo,
    ): Response | Promise<Response> => {
      const { pathname } = new URL(request.url);
      if (pathname === "/healthz") return new Response("ok\n");
      const refusal = refusalOf(request, server.addr.port, token);
      if (refusal !== undefined) {
        return errorResponse(refusal.status, "PERMISSION_DENIED", refusal.message);
      }
      const answer = completed.catch(() => {}).finally(() => answers.delete(answer));
      answers.add(answer);
      return control(request, pathname);
    };
    try {
      server = Deno.serve({
        hostname: HOST,
        port,
        signal: closing.signal,
        onListen() {},
        onError(thrown) {
          logger.error("The API failed: {reason}", { reason: describeError(thrown) });
          return errorResponse(500, "INTERNAL", "The node failed to answer; its log says why.");
        },
      }, handle);
    } catch (cause) {
      throw listenError(cause, port);
    }
    return new Gateway({ server, clock, stopping, closing, answers });
  }

  /** The base URL. */
  get url(): string {
    return `http://${HOST}:${this.#serving.server.addr.port}`;
  }

  /** Ends what is being answered and stops listening; idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { server, clock, stopping, closing, answers } = this.#serving;
    stopping.abort(new NetworkError("CANCELLED", "Stopped: the node is stopping."));
    await doneWithin(clock, STOP_PATIENCE_MS, Promise.all(answers));
    // Not `shutdown()`: that waits for ever for a client that reads no more, or sends half a body.
    closing.abort();
    await server.finished;
  }
}

function listenError(cause: unknown, port: number): NetworkError {
  const action = `Cannot serve the API on ${HOST}:${port}`;
  if (cause instanceof Deno.errors.AddrInUse) {
    return new NetworkError(
      "PORT_IN_USE",
      `${action}: the port is taken. Choose another with --api-port.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError("PERMISSION_DENIED", `${action}: not permitted. Grant --allow-net.`, {
      cause,
    });
  }
  return NetworkError.from(cause, "UNAVAILABLE", action);
}
