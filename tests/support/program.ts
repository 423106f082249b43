/**
 * A program in another language, as far as a node can tell: Google's own gRPC for JavaScript over
 * the descriptions of `proto/`, and nothing of this package's own code.
 *
 * @module
 */

import * as grpc from "@grpc/grpc-js";
import { fromJSON, type Options } from "@grpc/proto-loader";
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { grpcHealthDescriptor } from "../../src/link/grpc_health_descriptor.gen.ts";
import { grpcReflectionDescriptor } from "../../src/link/grpc_reflection_descriptor.gen.ts";
import type { Address } from "../../src/link/frame_stream.ts";
import { networkDescriptor } from "../../src/link/network_descriptor.gen.ts";

/** A message as plain data. */
// deno-lint-ignore no-explicit-any -- As grpc-js has it.
export type Message = any;

/** What a program shows. */
export interface ShownFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
  readonly serverName: string;
}

/** How a call that failed has ended. */
export interface Failure {
  readonly code: string;
  readonly details: string;
  readonly trailers: Record<string, unknown>;
}

const OPTIONS: Options = { keepCase: true, longs: Number, enums: String, oneofs: true };
const definitions: Record<string, Message> = {
  ...fromJSON(networkDescriptor, OPTIONS),
  ...fromJSON(grpcHealthDescriptor, OPTIONS),
  ...fromJSON(grpcReflectionDescriptor, OPTIONS),
};

/** A client of one service; dispose of it with `using`. */
export class Program {
  readonly #client: Message;
  /** The connection, as soon as there is one: paused, nothing that comes is taken. */
  socket: Socket | undefined;

  /**
   * @param shown Undefined: in the clear.
   * @param service The one whose methods are called.
   * @param name What it is called there, if that is another name.
   */
  constructor(
    { host, port }: Address,
    shown?: ShownFiles,
    service = "hanzo.network.v1.Network",
    name = service,
  ) {
    const methods = Object.entries(definitions[service]).map(([method, one]) => [
      method,
      { ...one as Message, path: `/${name}/${method}` },
    ]);
    const Client = grpc.makeGenericClientConstructor(Object.fromEntries(methods), name);
    const credentials = shown === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(
        Buffer.from(shown.authority),
        Buffer.from(shown.privateKey),
        Buffer.from(shown.certificate),
      );
    const createConnector = credentials._createSecureConnector.bind(credentials);
    credentials._createSecureConnector = (...args) => {
      const connector = createConnector(...args);
      const connect = connector.connect.bind(connector);
      connector.connect = (socket) => connect(this.socket = socket);
      return connector;
    };
    this.#client = new Client(`${host}:${port}`, credentials, {
      "grpc.use_local_subchannel_pool": 1,
      // One that was refused tries again even when it is closed: let it be now.
      "grpc.initial_reconnect_backoff_ms": 1,
      ...(shown && { "grpc.ssl_target_name_override": shown.serverName }),
    });
  }

  /** One message for another. */
  ask(method: string, request: Message = {}): Promise<Message> {
    return new Promise((resolve, reject) =>
      this.#client[method](
        request,
        { deadline: Date.now() + 5_000 },
        (error: unknown, answer: Message) => error === null ? resolve(answer) : reject(error),
      )
    );
  }

  /** A stream of messages for one. */
  stream(
    method: string,
    request: Message = {},
    options: grpc.CallOptions = {},
  ): grpc.ClientReadableStream<Message> {
    return this.#client[method](request, options);
  }

  /** A stream for a stream. */
  talk(method: string): grpc.ClientDuplexStream<Message, Message> {
    return this.#client[method]();
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** A program that serves agents, until it is closed. */
export async function serveAgents(
  implementation: grpc.UntypedServiceImplementation,
  port = 0,
): Promise<{ address: Address; close: () => void }> {
  const { Link: _, ...served } = definitions["hanzo.network.v1.Network"];
  const server = new grpc.Server();
  server.addService(served, implementation);
  const credentials = grpc.ServerCredentials.createInsecure();
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      `127.0.0.1:${port}`,
      credentials,
      (error, port) => error === null ? resolve(port) : reject(error),
    )
  );
  return {
    address: { host: "127.0.0.1", port: bound },
    close: () => server.forceShutdown(),
  };
}

/** All messages of a stream, up to its end. */
export async function all(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  try {
    await call;
  } catch (thrown) {
    const { code, details, metadata } = thrown as grpc.ServiceError;
    if (code === undefined) throw thrown;
    return { code: grpc.status[code], details, trailers: metadata.getMap() };
  }
  throw new Error("The call has not failed.");
}
