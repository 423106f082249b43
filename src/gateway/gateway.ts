/** The HTTP API of a node, on the loopback: what the command line talks to. */

import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
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
}

/** The first port that is tried when none is given. */
export const DEFAULT_API_PORT = 5680;
const PORTS_TO_TRY = 100;
const HOST = "127.0.0.1";

/** See the top of the file. */
export class Gateway {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort: AbortController;

  private constructor(server: Deno.HttpServer<Deno.NetAddr>, abort: AbortController) {
    this.#server = server;
    this.#abort = abort;
  }

  /**
   * Begins to listen.
   *
   * @throws {NetworkError} `PORT_IN_USE` when a port that was asked for is taken.
   */
  static start(options: GatewayOptions): Gateway {
    const { port, logger } = options;
    if (port !== undefined) return Gateway.#listen(options, port);
    for (let next = DEFAULT_API_PORT;; next++) {
      try {
        const gateway = Gateway.#listen(options, next);
        if (next !== DEFAULT_API_PORT) {
          logger.info("Port {taken} is taken; the API listens on {port}", {
            taken: DEFAULT_API_PORT,
            port: next,
          });
        }
        return gateway;
      } catch (thrown) {
        const isTaken = thrown instanceof NetworkError && thrown.code === "PORT_IN_USE";
        if (!isTaken || next >= DEFAULT_API_PORT + PORTS_TO_TRY) throw thrown;
      }
    }
  }

  static #listen({ network, token, logger }: GatewayOptions, port: number): Gateway {
    const abort = new AbortController();
    const control = controlApi(network, abort.signal);
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
      return control(request, pathname, completed);
    };
    try {
      server = Deno.serve({
        hostname: HOST,
        port,
        onListen() {},
        onError(thrown) {
          logger.error("The API failed: {reason}", { reason: describeError(thrown) });
          return errorResponse(500, "INTERNAL", "The node failed to answer; its log says why.");
        },
      }, handle);
    } catch (cause) {
      throw listenError(cause, port);
    }
    return new Gateway(server, abort);
  }

  /** The base URL. */
  get url(): string {
    return `http://${HOST}:${this.#server.addr.port}`;
  }

  /** Ends what is being answered and stops listening; idempotent. */
  async stop(): Promise<void> {
    this.#abort.abort(new NetworkError("CANCELLED", "Stopped: the node is stopping."));
    await this.#server.shutdown();
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
