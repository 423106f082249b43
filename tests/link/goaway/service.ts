/** A gRPC service without a proto: one call that echoes, one stream that stays open. */

import type { MethodDefinition } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";

export const ECHO_PATH = "/goaway.Test/Echo";
export const HOLD_PATH = "/goaway.Test/Hold";

/** Bytes as they are. */
export function bytes(value: Uint8Array): Buffer {
  return Buffer.from(value);
}

function method(path: string, streams: boolean): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** The service's methods. */
export const TEST_SERVICE = { Echo: method(ECHO_PATH, false), Hold: method(HOLD_PATH, true) };
