/** The health service of gRPC, by which ordinary tools ask whether a node is there to work. */

import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { type Clock, every } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { grpcHealthDescriptor } from "./grpc_health_descriptor.gen.ts";
import { detailsOf, grpcCode } from "./grpc_status.ts";
import type { GrpcCaller, GrpcService } from "./grpc_service.ts";
import { loadProtoCodec, type ProtoCodec } from "./proto_codec.ts";

/** What {@linkcode healthService} is made of. */
export interface HealthServiceOptions {
  readonly clock: Clock;
  /** Full names of what else is served. */
  readonly services: readonly string[];
  /** Whether the node takes tasks now. */
  readonly isServing: () => boolean;
  /** Why a program may not ask, if it may not. */
  readonly refuse: (caller: GrpcCaller) => NetworkError | undefined;
}

/** The full name of the service. */
export const HEALTH_SERVICE = "grpc.health.v1.Health";
/** Between two looks for those who watch. */
const LOOK_MS = 1_000;

type Status = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
type Call = ServerUnaryCall<Uint8Array, Uint8Array>;
type WatchCall = ServerWritableStream<Uint8Array, Uint8Array>;

/** See the top of the file. */
export function healthService(options: HealthServiceOptions): GrpcService {
  const { clock, isServing, refuse } = options;
  const services = new Set(["", ...options.services]);
  let loading: Promise<ProtoCodec> | undefined;
  const load = () => loading ??= loadProtoCodec(grpcHealthDescriptor);

  const statusOf = (service: string): Status =>
    !services.has(service) ? "SERVICE_UNKNOWN" : isServing() ? "SERVING" : "NOT_SERVING";
  const asked = async ({ request }: Call | WatchCall, caller: GrpcCaller) => {
    const refusal = refuse(caller);
    if (refusal !== undefined) throw refusal;
    const protobuf = await load();
    const { service = "" } = protobuf.decode("grpc.health.v1.HealthCheckRequest", request);
    const encode = (status: Status) =>
      protobuf.encode("grpc.health.v1.HealthCheckResponse", { status });
    return { service: service as string, encode };
  };

  return {
    definition: { Check: method("Check", false), Watch: method("Watch", true) },
    implementation: {
      async Check(call: Call, reply: sendUnaryData<Uint8Array>, caller: GrpcCaller) {
        try {
          const { service, encode } = await asked(call, caller);
          const status = statusOf(service);
          if (status === "SERVICE_UNKNOWN") throw unknown(service);
          reply(null, encode(status));
        } catch (thrown) {
          reply(refusalOf(thrown));
        }
      },
      async Watch(call: WatchCall, _: unknown, caller: GrpcCaller) {
        let isOver = false;
        let cancel = () => {};
        call.once("cancelled", () => {
          isOver = true;
          cancel();
        });
        try {
          const { service, encode } = await asked(call, caller);
          let told: Status | undefined;
          const look = () => {
            const status = statusOf(service);
            if (status !== told) call.write(encode(told = status));
          };
          look();
          if (!isOver) cancel = every(clock, LOOK_MS, look);
        } catch (thrown) {
          call.emit("error", refusalOf(thrown));
        }
      },
    },
  };
}

function method(name: string, responseStream: boolean) {
  return {
    path: `/${HEALTH_SERVICE}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
  };
}

function refusalOf(thrown: unknown): { code: number; details: string } {
  const error = NetworkError.from(thrown);
  return { code: grpcCode(error.code), details: detailsOf(error) };
}

function unknown(service: string): NetworkError {
  return new NetworkError(
    "NOT_FOUND",
    `There is no service "${safeName(service)}" here. Leave the name out to ask for the node.`,
  );
}
