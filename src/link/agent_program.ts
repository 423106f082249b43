/**
 * A program on this machine that serves agents: `ListAgents` and `Run` of `proto/`, called there.
 *
 * Each run has a connection of its own. Deno 2.9.6 takes all that comes on one by HTTP/2, whether
 * anybody reads it or not; what paces a program that says more than its reader takes is that its
 * connection is not read.
 */

import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { AgentDescription } from "../agents/agent.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { safeLine } from "../base/safe_text.ts";
import { readAgentList } from "./agent_messages.ts";
import { CREDIT_WINDOW, MAX_BODY_BYTES } from "./call.ts";
import { type Address, formatAddress } from "./frame_stream.ts";
import { networkDescriptor } from "./network_descriptor.gen.ts";
import { loadProtoCodec, type PlainMessage, type ProtoCodec } from "./proto_codec.ts";
import {
  type AskedOfProgram,
  type ProgramEvent,
  programRequest,
  readProgramEvent,
} from "./run_messages.ts";

type Channel = ReturnType<grpc.Client["getChannel"]>;

const PACKAGE = "hanzo.network.v1";
/** How long the program may take to say what it has. */
const LIST_MS = 2_000;
/** How long a run waits for the connection: the program was there a moment ago. */
const CONNECT_MS = 1_000;

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  "grpc.max_receive_message_length": MAX_BODY_BYTES,
  "grpc.max_send_message_length": 2 * MAX_BODY_BYTES,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_retries": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.service_config_disable_resolution": 1,
  // It is looked for every second. (After the end, one that was refused would be tried once more.)
  "grpc.initial_reconnect_backoff_ms": 1,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

/** See the top of the file. */
export class AgentProgram {
  readonly #address: Address;
  /** For the question what it offers, and to see when it is gone. */
  #client: grpc.Client;
  #loading: Promise<ProtoCodec> | undefined;

  constructor(address: Address) {
    this.#address = address;
    this.#client = this.#connect(grpc.credentials.createInsecure());
  }

  /**
   * What it offers now.
   *
   * @throws {NetworkError} `UNAVAILABLE` when nobody answers; `INVALID_ARGUMENT` when what it offers
   * cannot be taken; `PROTOCOL`.
   */
  async list(): Promise<AgentDescription[]> {
    const protobuf = await this.#load();
    const bytes = await new Promise<Uint8Array>((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${PACKAGE}.Network/ListAgents`,
        toBuffer,
        same,
        new Uint8Array(0),
        { deadline: Date.now() + LIST_MS },
        (error, answer) => {
          if (error === null) return resolve(answer!);
          // The next question is to dial at once, and not when this one would have tried again.
          this.#client.close();
          this.#client = this.#connect(grpc.credentials.createInsecure());
          reject(this.#notListed(error));
        },
      );
    });
    return readAgentList(protobuf.decode(`${PACKAGE}.ListAgentsResponse`, bytes));
  }

  /** Calls back once, when the connection that there is now is no more. */
  onceBroken(callback: () => void): void {
    const channel = this.#client.getChannel();
    channel.watchConnectivityState(grpc.connectivityState.READY, Infinity, () => callback());
  }

  /**
   * Runs one of its agents; leaving the iteration stops it. What the reader does not take yet is
   * not read.
   *
   * @throws {NetworkError} The signal's reason; `UNAVAILABLE` when the program cannot be reached, so
   * that nothing was begun; `UNKNOWN_OUTCOME` when it was lost; `INVALID_ARGUMENT` and `AGENT_FAILED`
   * with its own words.
   */
  async *run(
    asked: AskedOfProgram,
    signal: AbortSignal,
  ): AsyncGenerator<ProgramEvent, void, void> {
    const protobuf = await this.#load();
    const request = protobuf.encode(`${PACKAGE}.RunRequest`, programRequest(asked));
    const { credentials, socket } = watched(grpc.credentials.createInsecure());
    const client = this.#connect(credentials);
    let call: ClientReadableStream<Uint8Array> | undefined;
    const onAbort = () => call?.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await this.#connected(client, asked.agent, signal);
      call = client.makeServerStreamRequest(`/${PACKAGE}.Network/Run`, toBuffer, same, request);
      for await (const bytes of paced(call, socket)) {
        const event = this.#read(protobuf, bytes);
        if (event !== undefined) yield event;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown instanceof NetworkError ? thrown : this.#failed(asked.agent, thrown);
    } finally {
      signal.removeEventListener("abort", onAbort);
      call?.cancel();
      client.close();
      // What is not read would keep it open.
      socket()?.destroy();
    }
  }

  #connect(credentials: grpc.ChannelCredentials): grpc.Client {
    return new grpc.Client(formatAddress(this.#address), credentials, CHANNEL_OPTIONS);
  }

  /** Looks after it no more; what runs is ended by whoever asked for it. */
  close(): void {
    this.#client.close();
  }

  #read(protobuf: ProtoCodec, bytes: Uint8Array): ProgramEvent | undefined {
    try {
      const message: PlainMessage = protobuf.decode(`${PACKAGE}.RunEvent`, bytes);
      return readProgramEvent(message);
    } catch (thrown) {
      throw NetworkError.from(thrown, "PROTOCOL");
    }
  }

  /** Before anything is sent: what fails here was never begun. */
  async #connected(client: grpc.Client, agent: string, signal: AbortSignal): Promise<void> {
    const isThere = await isReady(client.getChannel(), signal);
    signal.throwIfAborted();
    if (isThere) return;
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot run agent "${agent}": ${this.#name()} cannot be reached, so it has not begun. Start ` +
        "the program again.",
    );
  }

  #failed(agent: string, thrown: unknown): NetworkError {
    const { code, details } = thrown as Partial<ServiceError>;
    const reason = safeLine(details || describeError(thrown));
    if (code === grpc.status.INVALID_ARGUMENT) {
      return new NetworkError("INVALID_ARGUMENT", reason, { cause: thrown });
    }
    // A server that is stopped cancels its calls.
    if (code === grpc.status.UNAVAILABLE || code === grpc.status.CANCELLED) {
      return new NetworkError(
        "UNKNOWN_OUTCOME",
        `${this.#name()} was lost while it ran agent "${agent}": it had begun, and nobody knows how ` +
          `far it has come. Look whether its work was done before you run it again.`,
        { cause: thrown },
      );
    }
    return new NetworkError("AGENT_FAILED", `Agent "${agent}" failed: ${reason}`, {
      cause: thrown,
    });
  }

  #notListed(error: ServiceError): NetworkError {
    const details = safeLine(error.details || describeError(error));
    const [, reason = details] = /Last error: (?:Error: )?(.*?)\.? Resolution note/.exec(details) ??
      [];
    return new NetworkError("UNAVAILABLE", `it does not answer (${reason})`, { cause: error });
  }

  #name(): string {
    return `The program at ${formatAddress(this.#address)}`;
  }

  #load(): Promise<ProtoCodec> {
    return this.#loading ??= loadProtoCodec(networkDescriptor);
  }
}

/** Whether a connection is made; undecided it is until the first attempt is over, or takes too long. */
async function isReady(channel: Channel, signal: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + CONNECT_MS;
  const { READY, IDLE, CONNECTING } = grpc.connectivityState;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === READY) return true;
    if (state !== IDLE && state !== CONNECTING) return false;
    const changed = await new Promise<boolean>((resolve) => {
      channel.watchConnectivityState(state, deadline, (error) => resolve(error === undefined));
      signal.addEventListener("abort", () => resolve(false), { once: true });
    });
    if (!changed) return false;
  }
}

/** Credentials that tell which connection is made with them. */
function watched(
  credentials: grpc.ChannelCredentials,
): { credentials: grpc.ChannelCredentials; socket: () => Socket | undefined } {
  let seen: Socket | undefined;
  const createConnector = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...args) => {
    const connector = createConnector(...args);
    const connect = connector.connect.bind(connector);
    connector.connect = (socket) => connect(seen = socket);
    return connector;
  };
  return { credentials, socket: () => seen };
}

/** What comes on a call; while its reader has more than a window to take, nothing else is read. */
async function* paced(
  call: ClientReadableStream<Uint8Array>,
  socket: () => Socket | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const waiting: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake = () => {};
  const finish = (how: { readonly error?: unknown }) => {
    end ??= how;
    wake();
  };
  call.on("data", (message: Uint8Array) => {
    waiting.push(message);
    bytes += message.length;
    if (bytes > CREDIT_WINDOW) socket()?.pause();
    wake();
  });
  call.on("end", () => finish({}));
  call.on("error", (error) => finish({ error }));
  for (;;) {
    const next = waiting.shift();
    if (next !== undefined) {
      bytes -= next.length;
      if (bytes <= CREDIT_WINDOW / 2 && socket()?.isPaused()) socket()?.resume();
      yield next;
    } else if (end === undefined) {
      await new Promise<void>((resolve) => wake = resolve);
    } else if ("error" in end) throw end.error;
    else return;
  }
}

function same(bytes: Buffer): Uint8Array {
  return bytes;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
