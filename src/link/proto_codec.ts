/** Messages of `proto/` that need not be fast, to bytes and back: by protobufjs, when first needed. */

import { describeError, NetworkError } from "../base/errors.ts";

/** A message as plain data, its fields named as in its file; what was not set is not there. */
// deno-lint-ignore no-explicit-any -- Each is narrowed where it is read.
export type PlainMessage = Record<string, any>;

/** Writes and reads the messages of one file. */
export interface ProtoCodec {
  /** @param type The full name of the message. */
  encode(type: string, message: PlainMessage): Uint8Array;
  /**
   * Reads a message. Enums are names, 64-bit integers numbers; lists are there also when empty.
   *
   * @throws {NetworkError} `PROTOCOL` when it is none.
   */
  decode(type: string, bytes: Uint8Array): PlainMessage;
}

const PLAIN = { longs: Number, enums: String, arrays: true } as const;

/** Loads what the file is read with: 25 ms, which a node whom no program calls does not spend. */
export async function loadProtoCodec(descriptor: Record<string, unknown>): Promise<ProtoCodec> {
  const { default: protobuf } = await import("protobufjs/light.js");
  const root = protobuf.Root.fromJSON(descriptor);
  return {
    encode(type, message) {
      const found = root.lookupType(type);
      // Names of enums become numbers.
      return found.encode(found.fromObject(message)).finish();
    },
    decode(type, bytes) {
      const found = root.lookupType(type);
      try {
        // Not as a Buffer: of one protobufjs takes a text that ends in the middle.
        const { buffer, byteOffset, length } = bytes;
        const plain = new Uint8Array(buffer, byteOffset, length);
        return found.toObject(found.decode(plain), PLAIN);
      } catch (cause) {
        throw new NetworkError(
          "PROTOCOL",
          `Cannot read the message: it is no ${type} (${describeError(cause)}).`,
          { cause },
        );
      }
    },
  };
}
