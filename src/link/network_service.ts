/**
 * What programs in any language can call: `Run`, `ListAgents` and `GetStatus` of `proto/`. Bytes
 * become plain data here and plain data bytes; what is done, the ports do.
 */

import type {
  Metadata,
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  StatusObject,
} from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { RunEvent } from "../agents/run_event.ts";
import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { PeerCredential } from "../security/trust.ts";
import { agentListMessage, type ListedAgent } from "./agent_messages.ts";
import { CREDIT_WINDOW, MAX_BODY_BYTES } from "./call.ts";
import { detailsOf, grpcCode, trailersOf } from "./grpc_status.ts";
import type { GrpcCaller, GrpcService } from "./grpc_service.ts";
import { networkDescriptor } from "./network_descriptor.gen.ts";
import { loadProtoCodec, type PlainMessage, type ProtoCodec } from "./proto_codec.ts";
import { type AskedRun, readRunRequest, RunEventMessages } from "./run_messages.ts";
import { type ShownStatus, statusMessage } from "./status_messages.ts";

/** What the service needs of a node. */
export interface NetworkServicePorts {
  readonly clock: Clock;
  /** Why a program may not call, if it may not. */
  readonly refuse: (caller: GrpcCaller) => NetworkError | undefined;
  /** Whether who shows that certificate is of the network now. */
  readonly admits: (peer: PeerCredential) => boolean;
  /** Runs an agent; leaving the iteration stops it. */
  readonly run: (asked: AskedRun, signal: AbortSignal) => AsyncGenerator<RunEvent, void, void>;
  readonly agents: () => readonly ListedAgent[];
  readonly status: () => ShownStatus;
}

const PACKAGE = "hanzo.network.v1";
/** The full name of the service. */
export const NETWORK_SERVICE: string = `${PACKAGE}.Network`;
const RUN_PATH = `/${NETWORK_SERVICE}/Run`;
/** Whoever sets a later one has set none: the longest that a task may take. */
const MAX_DEADLINE_MS = 7 * 24 * 3_600_000;
/** A prompt and its context, and room for what stands beside. */
const RUN_LIMIT = { maxBytes: MAX_BODY_BYTES + 64 * 1024, compressed: true, maxMessages: 1 };

type RunCall = ServerWritableStream<Uint8Array, Uint8Array>;
type Call = ServerUnaryCall<Uint8Array, Uint8Array>;
type Reply = sendUnaryData<Uint8Array>;

/** What is loaded when the first program calls. */
interface Tools {
  readonly protobuf: ProtoCodec;
  readonly metadata: (entries: Record<string, string>) => Metadata;
}

interface Run {
  readonly caller: GrpcCaller;
  readonly abort: AbortController;
}

/** See the top of the file. */
export class NetworkService implements GrpcService {
  readonly #ports: NetworkServicePorts;
  readonly #runs = new Set<Run>();
  #loading: Promise<Tools> | undefined;

  readonly definition = {
    Run: method("Run", true),
    ListAgents: method("ListAgents"),
    GetStatus: method("GetStatus"),
  };

  readonly limits = { [RUN_PATH]: RUN_LIMIT };

  readonly implementation = {
    Run: (call: RunCall, _: unknown, caller: GrpcCaller) => this.#run(call, caller),
    ListAgents: (_: Call, reply: Reply, caller: GrpcCaller) =>
      this.#answer(
        reply,
        caller,
        "ListAgentsResponse",
        () => agentListMessage(this.#ports.agents()),
      ),
    GetStatus: (_: Call, reply: Reply, caller: GrpcCaller) =>
      this.#answer(reply, caller, "GetStatusResponse", () => statusMessage(this.#ports.status())),
  };

  constructor(ports: NetworkServicePorts) {
    this.#ports = ports;
  }

  /** Who is of the network has changed: what runs for those who are no more, ends. */
  reconsider(): void {
    for (const { caller: { credential }, abort } of this.#runs) {
      if (credential === undefined || this.#ports.admits(credential)) continue;
      abort.abort(
        new NetworkError(
          "PERMISSION_DENIED",
          "The certificate that asked for this counts no more.",
        ),
      );
    }
  }

  async #answer(
    reply: Reply,
    caller: GrpcCaller,
    type: string,
    make: () => PlainMessage,
  ): Promise<void> {
    const tools = await this.#load();
    try {
      this.#check(caller);
      reply(null, tools.protobuf.encode(`${PACKAGE}.${type}`, make()));
    } catch (thrown) {
      reply(statusOf(thrown, tools));
    }
  }

  async #run(call: RunCall, caller: GrpcCaller): Promise<void> {
    const run: Run = { caller, abort: new AbortController() };
    const { signal } = run.abort;
    call.once("cancelled", () => run.abort.abort(programGone()));
    this.#runs.add(run);
    const tools = await this.#load();
    try {
      this.#check(caller);
      const asked = readRunRequest(decodeRequest(tools.protobuf, call.request));
      const timeoutMs = this.#timeout(asked.timeoutMs, call);
      const events = this.#ports.run({ ...asked, timeoutMs }, signal);
      await this.#send(call, events, tools.protobuf, run);
      call.end();
    } catch (thrown) {
      call.emit("error", statusOf(thrown, tools));
    } finally {
      this.#runs.delete(run);
    }
  }

  async #send(
    call: RunCall,
    events: AsyncGenerator<RunEvent, void, void>,
    protobuf: ProtoCodec,
    { caller, abort }: Run,
  ): Promise<void> {
    const writer = new PacedWriter(call, abort.signal);
    const messages = new RunEventMessages();
    for await (const event of events) {
      for (const message of messages.of(event)) {
        const bytes = protobuf.encode(`${PACKAGE}.RunEvent`, message);
        if (bytes.length > MAX_BODY_BYTES) throw tooLong(event.type, bytes.length);
        caller.streamed();
        await writer.write(bytes);
      }
    }
  }

  #check(caller: GrpcCaller): void {
    const refusal = this.#ports.refuse(caller);
    if (refusal !== undefined) throw refusal;
  }

  /** The earlier of what was asked and gRPC's own deadline; undefined where there is neither. */
  #timeout(asked: number | undefined, call: RunCall): number | undefined {
    const leftMs = Number(call.getDeadline()) - this.#ports.clock.wallTime();
    if (!Number.isFinite(leftMs)) return asked;
    return Math.max(1, Math.min(asked ?? MAX_DEADLINE_MS, leftMs));
  }

  #load(): Promise<Tools> {
    return this.#loading ??= (async () => {
      const [protobuf, { Metadata }] = await Promise.all([
        loadProtoCodec(networkDescriptor),
        import("@grpc/grpc-js"),
      ]);
      const metadata = (entries: Record<string, string>) => Metadata.fromHttp2Headers(entries);
      return { protobuf, metadata };
    })();
  }
}

/** Writes to a call as fast as its reader reads, and no faster. */
class PacedWriter {
  readonly #call: RunCall;
  readonly #signal: AbortSignal;
  /** Bytes that HTTP/2 has not taken. */
  #waiting = 0;
  #wake = () => {};

  constructor(call: RunCall, signal: AbortSignal) {
    this.#call = call;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  /** Resolves when more can be taken. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    this.#waiting += bytes.length;
    this.#call.write(bytes, () => {
      this.#waiting -= bytes.length;
      this.#wake();
    });
    while (this.#waiting > CREDIT_WINDOW) {
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#signal.throwIfAborted();
    }
  }
}

function method(name: string, responseStream = false) {
  return {
    path: `/${NETWORK_SERVICE}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: toBuffer,
    requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
    responseSerialize: toBuffer,
    responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
  };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What a program sends that is no message is its own fault. */
function decodeRequest(protobuf: ProtoCodec, bytes: Uint8Array): PlainMessage {
  try {
    return protobuf.decode(`${PACKAGE}.RunRequest`, bytes);
  } catch (thrown) {
    const { message } = NetworkError.from(thrown);
    throw new NetworkError("INVALID_ARGUMENT", message, { cause: thrown });
  }
}

function statusOf(thrown: unknown, { metadata }: Tools): Partial<StatusObject> {
  const error = NetworkError.from(thrown);
  return {
    code: grpcCode(error.code),
    details: detailsOf(error),
    metadata: metadata(trailersOf(error)),
  };
}

function programGone(): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled: the program gave up, or is gone.");
}

function tooLong(what: string, bytes: number): NetworkError {
  return new NetworkError(
    "RESOURCE_EXHAUSTED",
    `Cannot send a ${what} of ${bytes} bytes: at most ${MAX_BODY_BYTES} are sent in one message. ` +
      "Let the agent stream its answer, and say less at its end.",
  );
}
