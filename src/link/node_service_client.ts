/** Asks existing peers: the client of `node_service.NodeService`, over a connection per question. */

import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { type Address, formatAddress } from "./frame_stream.ts";
import { installGoawayGuard } from "./goaway_guard.ts";
import { cuttable } from "./cut_connection.ts";
import { CLIENT_OPTIONS } from "./grpc_transport.ts";
import {
  decodeHealth,
  decodeTopology,
  EMPTY_MESSAGE,
  encodeQuery,
  MAX_MESSAGE_BYTES,
  type NodeTopology,
  type TopologyQuery,
} from "./node_service_codec.ts";

/** Asks existing peers, in plaintext. */
export interface NodeServiceClient {
  /**
   * Whether the peer says that it is healthy.
   *
   * @throws {NetworkError} `UNAVAILABLE` when it does not answer within 5 s, `PROTOCOL` when the
   * answer cannot be read, or the signal's reason.
   */
  healthCheck(address: Address, signal: AbortSignal): Promise<boolean>;
  /**
   * What the peer knows of the network.
   *
   * @throws {NetworkError} As {@linkcode NodeServiceClient.healthCheck}.
   */
  collectTopology(
    address: Address,
    query: TopologyQuery,
    signal: AbortSignal,
  ): Promise<NodeTopology>;
}

/** From connecting to the answer: what existing peers give a health check. */
const TIMEOUT_MS = 5_000;

const OPTIONS: grpc.ChannelOptions = {
  ...CLIENT_OPTIONS,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
};

/** @param clock Tells the deadline: the system's time, which is gRPC's. */
export function nodeServiceClient(clock: Clock): NodeServiceClient {
  installGoawayGuard();
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const ask = (address: Address, method: string, request: Uint8Array, signal: AbortSignal) => {
    const deadline = new Date(clock.wallTime() + TIMEOUT_MS);
    return unary(address, `/node_service.NodeService/${method}`, request, deadline, signal);
  };
  return {
    async healthCheck(address, signal) {
      return decodeHealth(await ask(address, "HealthCheck", EMPTY_MESSAGE, signal));
    },
    async collectTopology(address, query, signal) {
      return decodeTopology(await ask(address, "CollectTopology", encodeQuery(query), signal));
    },
  };
}

function unary(
  address: Address,
  path: string,
  request: Uint8Array,
  deadline: Date,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const { credentials, cut } = cuttable(grpc.credentials.createInsecure());
    const client = new grpc.Client(formatAddress(address), credentials, OPTIONS);
    const call = client.makeUnaryRequest<Uint8Array, Uint8Array>(
      path,
      (bytes) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      request,
      new grpc.Metadata(),
      { deadline },
      (cause, answer) => {
        signal.removeEventListener("abort", onAbort);
        // A connection that nobody answers outlives its channel otherwise.
        if (cause !== null) cut();
        // A channel that is closed before its target was resolved would go on to connect.
        setImmediate(() => client.close());
        if (signal.aborted) reject(signal.reason);
        else if (cause !== null) reject(askError(address, cause));
        else resolve(answer!);
      },
    );
    const onAbort = () => call.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

function askError(address: Address, cause: grpc.ServiceError): NetworkError {
  const details = safeName(cause.details || describeError(cause), 256);
  const reason = cause.code === grpc.status.DEADLINE_EXCEEDED
    ? `no answer within ${TIMEOUT_MS / 1_000} s`
    : /ECONNREFUSED|Connection refused/i.test(details)
    ? "connection refused"
    : details;
  const code = cause.code === grpc.status.RESOURCE_EXHAUSTED ? "PROTOCOL" : "UNAVAILABLE";
  return new NetworkError(
    code,
    `Cannot ask ${formatAddress(address)}: ${reason}. Does an existing peer run there, and does ` +
      `its firewall let this port through?`,
    { cause },
  );
}
