/** The hand-written codec against `proto/` and against hostile bytes. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromJSON } from "@grpc/proto-loader";
import fc from "fast-check";
import { ERROR_CODES, NetworkError } from "../../src/base/errors.ts";
import { bytesTag, type Encodable } from "../../src/base/protobuf.ts";
import { bytesOf } from "../../src/link/call.ts";
import type { Body, OutgoingMessage } from "../../src/link/frame.ts";
import { decodeFrame, encodeFrame } from "../../src/link/frame_codec.ts";
import { networkDescriptor } from "../../src/link/network_descriptor.gen.ts";

interface Codec {
  serialize(value: unknown): Uint8Array;
  deserialize(bytes: Uint8Array): unknown;
}

/** The codec that gRPC's own loader makes of `proto/`. */
function referenceCodec(): Codec {
  const loaded = fromJSON(networkDescriptor, {
    keepCase: true,
    longs: Number,
    enums: Number,
    defaults: true,
    arrays: true,
  });
  const service = loaded["hanzo.network.v1.Network"] as unknown as {
    Link: {
      requestSerialize(value: unknown): Uint8Array;
      requestDeserialize(bytes: unknown): unknown;
    };
  };
  return {
    serialize: (value) => service.Link.requestSerialize(value),
    deserialize: (bytes) => service.Link.requestDeserialize(bytes),
  };
}

/** A body that writes itself, and promises more bytes than it takes. */
const anyEncodable = fc.tuple(fc.string({ unit: "grapheme" }), fc.nat(20_000)).map(
  ([text, spare]): Encodable => ({
    bound: 10 + 3 * text.length + spare,
    encode: (writer) => void writer.string(bytesTag(1), text),
  }),
);

const anyMessage: fc.Arbitrary<OutgoingMessage> = fc.record({
  kind: fc.integer({ min: 1, max: 11 }) as fc.Arbitrary<OutgoingMessage["kind"]>,
  call: fc.maxSafeNat(),
  method: fc.string({ unit: "grapheme" }),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: "grapheme" }),
    anyEncodable,
  ) as fc.Arbitrary<Body>,
  errorCode: fc.option(fc.constantFrom(...ERROR_CODES), { nil: undefined }),
  retryAfterMs: fc.nat(),
  credit: fc.nat(),
});

const anyLoad = fc.record({
  running: fc.nat(),
  queued: fc.nat(),
  slots: fc.nat(),
  modelCalls: fc.nat(),
  callsReceived: fc.maxSafeNat(),
});

Deno.test("what the codec writes is what a codec made of proto/ reads, and the other way", () => {
  const reference = referenceCodec();
  fc.assert(fc.property(fc.array(anyMessage, { maxLength: 5 }), anyLoad, (messages, load) => {
    const bytes = encodeFrame(messages, load);
    // deno-lint-ignore no-explicit-any
    const read = reference.deserialize(bytes) as any;
    assertEquals(read.messages.length, messages.length);
    messages.forEach((message, i) => {
      const other = read.messages[i];
      assertEquals(other.kind, message.kind);
      assertEquals(other.call, message.call);
      assertEquals(other.method, message.method);
      assertEquals([...other.body], [...bytesOf(message.body ?? "")]);
      assertEquals(
        other.error_code,
        message.errorCode === undefined ? 0 : ERROR_CODES.indexOf(message.errorCode) + 1,
      );
      assertEquals(other.retry_after_ms, message.retryAfterMs);
      assertEquals(other.credit, message.credit);
    });
    assertEquals(read.load.calls_received, load.callsReceived);

    const frame = decodeFrame(reference.serialize(read));
    assertEquals(frame.load, load);
    frame.messages.forEach((message, i) => {
      assertEquals(message.kind, messages[i].kind);
      assertEquals(message.call, messages[i].call);
      assertEquals(message.method, messages[i].method);
      assertEquals([...message.body], [...bytesOf(messages[i].body ?? "")]);
      assertEquals(message.errorCode, messages[i].errorCode);
    });
  }));
});

Deno.test("the error codes of proto/ are those of this package, in the same order", async () => {
  const proto = await Deno.readTextFile(
    new URL("../../proto/hanzo_network_v1.proto", import.meta.url),
  );
  const body = /enum ErrorCode \{([^}]*)\}/.exec(proto)![1];
  const names = [...body.matchAll(/(\w+) = (\d+);/g)].map(([, name, number]) => [name, +number]);
  assertEquals(names, [["NONE", 0], ...ERROR_CODES.map((code, i) => [code, i + 1])]);
});

Deno.test("unknown fields and kinds of a later version are skipped", () => {
  const known = encodeFrame([{ kind: 6, call: 7, method: "run", body: "{}" }]);
  // Field 15 of the frame: a varint, eight bytes, a string, four bytes.
  const unknown = [0x78, 0x05, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 65, 66, 0x7d, 1, 2, 3, 4];
  const { messages: [message] } = decodeFrame(new Uint8Array([...unknown, ...known]));
  assertEquals([message.kind, message.call, message.method], [6, 7, "run"]);
});

Deno.test("bytes that are no frame are refused with PROTOCOL, never with anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeFrame(bytes);
      } catch (thrown) {
        assert(thrown instanceof NetworkError && thrown.code === "PROTOCOL", String(thrown));
      }
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("a frame that is cut anywhere or whose length lies is refused or shorter, never wrong", () => {
  const whole = encodeFrame([{ kind: 6, call: 300, method: "run", body: "x".repeat(200) }]);
  for (let cut = 1; cut < whole.length; cut++) {
    assertThrows(() => decodeFrame(whole.subarray(0, cut)), NetworkError);
  }
  const lying = whole.slice();
  lying[1] = 0xff;
  lying[2] = 0x7f;
  assertThrows(() => decodeFrame(lying), NetworkError, "ends in the middle");
  assertThrows(() => decodeFrame(new Uint8Array()), NetworkError, "it is empty");
});
