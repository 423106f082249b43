/**
 * The baseline of the remote runs: one gRPC stream that carries numbered messages and echoes them,
 * with nothing of ours on it. `batched` sends what was posted in one turn as one message, the
 * others one by one.
 */

import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";

const identity = (bytes: Buffer): Buffer => bytes;
const SERVICE = {
  Echo: {
    path: "/bench.Echo/Echo",
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
} satisfies grpc.ServiceDefinition;

const OPTIONS: grpc.ChannelOptions = { "grpc-node.flow_control_window": 4 * 1024 * 1024 };

/** Serves the echo and returns its port. */
export function serveBareStream(): Promise<number> {
  const server = new grpc.Server(OPTIONS);
  server.addService(SERVICE, {
    Echo(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (message: Buffer) => call.write(message));
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Calls over one bare stream. */
export class BareStream {
  readonly #client: grpc.Client;
  readonly #call: grpc.ClientDuplexStream<Buffer, Buffer>;
  readonly #waiting = new Map<number, () => void>();
  readonly #batched: boolean;
  #posted: Buffer[] = [];
  #next = 1;

  constructor(port: number, batched: boolean) {
    this.#batched = batched;
    this.#client = new grpc.Client(
      `127.0.0.1:${port}`,
      grpc.credentials.createInsecure(),
      OPTIONS,
    );
    this.#call = this.#client.makeBidiStreamRequest("/bench.Echo/Echo", identity, identity);
    this.#call.on("error", () => {});
    this.#call.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  /** Sends `payload` and waits for its echo. */
  call(payload: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const id = this.#next++;
      this.#waiting.set(id, resolve);
      const message = Buffer.allocUnsafe(8 + payload.length);
      message.writeUInt32LE(id, 0);
      message.writeUInt32LE(payload.length, 4);
      payload.copy(message, 8);
      if (!this.#batched) return this.#call.write(message);
      if (this.#posted.push(message) === 1) {
        queueMicrotask(() => {
          this.#call.write(Buffer.concat(this.#posted));
          this.#posted = [];
        });
      }
    });
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  #read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const id = bytes.readUInt32LE(at);
      at += 8 + bytes.readUInt32LE(at + 4);
      this.#waiting.get(id)?.();
      this.#waiting.delete(id);
    }
  }
}
