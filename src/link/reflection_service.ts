/** The reflection service of gRPC, by which tools such as grpcurl learn what a node serves. */

import type { ServerDuplexStream } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { grpcReflectionDescriptor } from "./grpc_reflection_descriptor.gen.ts";
import { detailsOf, grpcCode } from "./grpc_status.ts";
import type { GrpcCaller, GrpcService } from "./grpc_service.ts";
import { protoFiles } from "./proto_files.gen.ts";
import { loadProtoCodec, type PlainMessage, type ProtoCodec } from "./proto_codec.ts";

/** What {@linkcode reflectionService} is made of. */
export interface ReflectionServiceOptions {
  /** Full names of what else is served. */
  readonly services: readonly string[];
  /** Why a program may not ask, if it may not. */
  readonly refuse: (caller: GrpcCaller) => NetworkError | undefined;
}

/** By its name now, and by the one that it had before: older tools know no other. */
const SERVICES = [
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];
/** Tools ask for each file that they need, and there are few. */
const LIMIT = { maxBytes: 4 * 1024, compressed: true, maxMessages: 256 };

type Call = ServerDuplexStream<Uint8Array, Uint8Array>;

/** See the top of the file; one service for each of its names. */
export function reflectionService(
  { services, refuse }: ReflectionServiceOptions,
): GrpcService[] {
  const listed = [...services, ...SERVICES].sort();
  let loading: Promise<ProtoCodec> | undefined;
  const load = () => loading ??= loadProtoCodec(grpcReflectionDescriptor);

  async function serve(call: Call, caller: GrpcCaller): Promise<void> {
    const refusal = refuse(caller);
    if (refusal !== undefined) return void call.emit("error", statusOf(refusal));
    const protobuf = await load();
    // Not by `for await`: that destroys a call at the end of its questions, before the answers.
    call.on("data", (bytes: Uint8Array) => {
      try {
        const request = protobuf.decode("grpc.reflection.v1.ServerReflectionRequest", bytes);
        const response = {
          valid_host: request.host ?? "",
          original_request: request,
          ...answer(request, listed),
        };
        call.write(protobuf.encode("grpc.reflection.v1.ServerReflectionResponse", response));
      } catch (thrown) {
        call.emit("error", statusOf(NetworkError.from(thrown)));
      }
    });
    call.once("end", () => call.end());
  }

  return SERVICES.map((name) => {
    const path = `/${name}/ServerReflectionInfo`;
    return {
      definition: { ServerReflectionInfo: method(path) },
      implementation: {
        ServerReflectionInfo: (call: Call, _: unknown, caller: GrpcCaller) => serve(call, caller),
      },
      limits: { [path]: LIMIT },
    };
  });
}

/** The part of the response that answers the question. */
function answer(request: PlainMessage, listed: readonly string[]): PlainMessage {
  const { file_by_filename: file, file_containing_symbol: symbol } = request;
  if (request.list_services !== undefined) {
    return { list_services_response: { service: listed.map((name) => ({ name })) } };
  }
  if (file !== undefined) {
    return Object.hasOwn(protoFiles, file) ? fileAnswer(file) : notFound("file", file);
  }
  if (symbol !== undefined) {
    const found = Object.keys(protoFiles).find((one) => protoFiles[one].symbols.includes(symbol));
    return found === undefined ? notFound("symbol", symbol) : fileAnswer(found);
  }
  return notFound("extension", request.file_containing_extension?.containing_type ?? "");
}

/** No file imports another. */
function fileAnswer(name: string): PlainMessage {
  const bytes = Uint8Array.fromBase64(protoFiles[name].descriptor);
  return { file_descriptor_response: { file_descriptor_proto: [bytes] } };
}

function notFound(what: string, name: string): PlainMessage {
  return {
    error_response: {
      error_code: grpcCode("NOT_FOUND"),
      error_message: `There is no ${what} "${safeName(name)}" here.`,
    },
  };
}

function method(path: string) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
  };
}

function statusOf(error: NetworkError): { code: number; details: string } {
  return { code: grpcCode(error.code), details: detailsOf(error) };
}
