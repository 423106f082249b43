/**
 * The service of existing peers, `node_service.NodeService`: a node that serves it is one of their
 * topology. It answers for its health and for what it knows of the network; work of theirs, which is
 * parts of models, it refuses.
 */

import type { sendUnaryData, ServerReadableStream, ServerUnaryCall } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { safeText } from "../base/safe_text.ts";
import { hostOf } from "./frame_stream.ts";
import type { GrpcService } from "./grpc_service.ts";
import {
  decodeQuery,
  decodeStatus,
  EMPTY_MESSAGE,
  encodeHealth,
  encodeTopology,
} from "./node_service_codec.ts";
import { TopologyCollector, type TopologyCollectorOptions } from "./node_service_topology.ts";

/** What {@linkcode nodeService} is made of. */
export interface NodeServiceOptions extends TopologyCollectorOptions {
  /** Whether a caller at `host` may be answered at all. */
  readonly allows: (host: string) => boolean;
  /** Is told what existing peers say that they are doing. */
  readonly onStatus?: (status: OpaqueStatus) => void;
}

/** What an existing peer says that it is doing: its own affair, in its own words. */
export interface OpaqueStatus {
  /** Where it came from. */
  readonly host: string;
  readonly requestId: string;
  /** Its texts and keys are without control characters. */
  readonly status: JsonValue;
}

/** A status is news, no load: what is longer or deeper is not handed on. */
const MAX_STATUS_BYTES = 64 * 1024;
const MAX_STATUS_DEPTH = 16;
/** Peers that take longer are left out of the topology. */
const COLLECT_TIMEOUT_MS = 5_000;
/** Of the time that the caller allows: the rest is for the way back. */
const COLLECT_SHARE = 0.8;

// Numbers of `grpc.status`, so that this file does not load gRPC.
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

type Call = ServerUnaryCall<Uint8Array, Uint8Array>;
/** A call whose message is not waited for. */
type UnreadCall = ServerReadableStream<Uint8Array, Uint8Array>;
type Reply = sendUnaryData<Uint8Array>;

/**
 * The service, for the gRPC server of a node.
 *
 * Existing peers send messages of up to 256 MiB: tensors, and results, which each tells to all the
 * others whoever had asked. Neither is of use here, and the limit of grpc-js holds for a server as a
 * whole. So these methods answer before their message is read, however long it is, and what still
 * arrives is dropped: to gRPC's server they are streams, which on the wire is the same. The others
 * have the limit of a link's frame, before and after it is inflated.
 */
export function nodeService(options: NodeServiceOptions): GrpcService {
  const { clock, logger, allows, onStatus } = options;
  const collector = new TopologyCollector(options);

  const answering =
    <C extends Call | UnreadCall>(serve: (call: C, host: string) => Answer) =>
    async (call: C, reply: Reply) => {
      const host = hostOf(call.getPeer());
      try {
        if (!allows(host)) throw notAllowed(host);
        reply(null, await serve(call, host));
      } catch (thrown) {
        logger.debug("Refused a call from {host}: {reason}", {
          host,
          reason: describeError(thrown),
        });
        reply(statusOf(thrown));
      }
    };
  const refuse = answering<UnreadCall>(() => {
    throw new NotOurs(options.topology().nodeId);
  });

  return {
    definition: {
      HealthCheck: method("HealthCheck"),
      CollectTopology: method("CollectTopology"),
      SendOpaqueStatus: method("SendOpaqueStatus"),
      SendResult: unreadMethod("SendResult"),
      SendPrompt: unreadMethod("SendPrompt"),
      SendTensor: unreadMethod("SendTensor"),
      SendExample: unreadMethod("SendExample"),
    },
    implementation: {
      HealthCheck: answering<Call>(() => encodeHealth(true)),
      CollectTopology: answering<Call>(async (call) => {
        const query = decodeQuery(call.request);
        const gone = new AbortController();
        call.once("cancelled", () => gone.abort());
        const allowedMs = COLLECT_SHARE * (Number(call.getDeadline()) - clock.wallTime());
        const timeoutMs = Math.max(0, Math.min(COLLECT_TIMEOUT_MS, allowedMs));
        return encodeTopology(await collector.collect(query, timeoutMs, gone.signal));
      }),
      SendOpaqueStatus: answering<Call>((call, host) => {
        const status = readStatus(call.request, host);
        if (status !== undefined) onStatus?.(status);
        return EMPTY_MESSAGE;
      }),
      SendResult: answering<UnreadCall>(() => EMPTY_MESSAGE),
      SendPrompt: refuse,
      SendTensor: refuse,
      SendExample: refuse,
    },
  };
}

type Answer = Uint8Array | Promise<Uint8Array>;

/** Somebody sends work that only nodes of their own kind do. */
class NotOurs extends Error {
  constructor(nodeId: string) {
    super(
      `"${nodeId}" is a node of Hanzo Network, which runs agents and no parts of models. ` +
        `Use instead: hanzo-network run PROMPT --node ${nodeId}`,
    );
  }
}

function notAllowed(host: string): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot answer ${host}: without keys this node talks to the private addresses that it is open ` +
      `to. Its owner can name another range: --open=CIDR.`,
  );
}

function method(name: string, requestStream = false) {
  return {
    path: `/node_service.NodeService/${name}`,
    requestStream,
    responseStream: false,
    requestSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
  };
}

function unreadMethod(name: string) {
  return method(name, true);
}

/** What a peer says that it is doing; nothing if that is no JSON of a bearable size. */
function readStatus(request: Uint8Array, host: string): OpaqueStatus | undefined {
  const { requestId, status } = decodeStatus(request);
  try {
    const bounds = { maxBytes: MAX_STATUS_BYTES, maxDepth: MAX_STATUS_DEPTH };
    return {
      host,
      requestId,
      status: withSafeTexts(parseBoundedJson(status, bounds) as JsonValue),
    };
  } catch {
    return undefined;
  }
}

function withSafeTexts(value: JsonValue): JsonValue {
  if (typeof value === "string") return safeText(value);
  if (Array.isArray(value)) return value.map(withSafeTexts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [safeText(key), withSafeTexts(member)]),
  );
}

/** What gRPC tells the caller. */
function statusOf(thrown: unknown): { code: number; details: string } {
  const details = describeError(thrown);
  if (thrown instanceof NotOurs) return { code: UNIMPLEMENTED, details };
  if (thrown instanceof NetworkError && thrown.code === "PROTOCOL") {
    return { code: INVALID_ARGUMENT, details };
  }
  if (thrown instanceof NetworkError && thrown.code === "PERMISSION_DENIED") {
    return { code: PERMISSION_DENIED, details };
  }
  return { code: INTERNAL, details: "The node could not answer." };
}
