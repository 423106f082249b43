/** Beacons to bytes and back, and what is no beacon. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import {
  type Beacon,
  decodeBeacon,
  encodeBeacon,
  MAX_BEACON_BYTES,
} from "../../src/discovery/beacon.ts";
import { anyText } from "../support/any_text.ts";

const BEACON: Beacon = {
  nodeId: "gpu-server",
  bootId: "01ARYZ6S41TSV4RRFFQ69G5FAV",
  network: "home",
  listenPort: 5681,
  isAnswer: false,
};

/** The beacon as it is on the wire, with some of it changed. */
function wire(change: Record<string, unknown> = {}): Uint8Array {
  const fields = JSON.parse(new TextDecoder().decode(encodeBeacon(BEACON)));
  return bytesOf({ ...fields, ...change });
}

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function assertRefused(bytes: Uint8Array, what?: string): void {
  const error = assertThrows(() => decodeBeacon(bytes), NetworkError, "", what);
  assertEquals(error.code, "PROTOCOL");
}

const anyBeacon: fc.Arbitrary<Beacon> = fc.record({
  nodeId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  bootId: fc.stringMatching(/^[0-9A-Z]{26}$/),
  network: anyText({ maxLength: 128 }),
  listenPort: fc.integer({ min: 1, max: 65_535 }),
  isAnswer: fc.boolean(),
});

Deno.test("a beacon is read as it was written, and fits into one datagram", () => {
  fc.assert(fc.property(anyBeacon, (beacon) => {
    const bytes = encodeBeacon(beacon);
    assert(bytes.length <= MAX_BEACON_BYTES);
    assertEquals(decodeBeacon(bytes), beacon);
  }));
});

Deno.test("a beacon has the field names that existing implementations read", () => {
  assertEquals(JSON.parse(new TextDecoder().decode(encodeBeacon(BEACON))), {
    type: "discovery",
    node_id: "gpu-server",
    boot_id: "01ARYZ6S41TSV4RRFFQ69G5FAV",
    network: "home",
    grpc_port: 5681,
    answer: false,
  });
});

Deno.test("fields of a later version are ignored", () => {
  assertEquals(decodeBeacon(wire({ device: { memory: 16_384 }, tags: ["a", "b"] })), BEACON);
});

Deno.test("a beacon with a field missing, of a wrong type or out of range is refused", () => {
  const wrong: Record<string, unknown[]> = {
    type: [undefined, "hello", 1],
    node_id: [undefined, null, 7, "", "../etc", "a b", "-a", "x".repeat(64), "\u202egpu", ["a"]],
    boot_id: [undefined, 1, "", "lower", "A".repeat(65), "A\n"],
    network: [undefined, 1, {}, "n".repeat(513)],
    grpc_port: [undefined, "5681", 0, -1, 65_536, 5681.5, null, true],
    answer: [undefined, "true", 0],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      assertRefused(wire({ [field]: value }), `${field}: ${JSON.stringify(value)}`);
    }
  }
  for (const value of [null, true, 1, "discovery", [], [BEACON], {}]) {
    assertRefused(bytesOf(value), JSON.stringify(value));
  }
});

Deno.test("what is larger than a beacon can be is refused unread", () => {
  const padding = (length: number) => wire({ padding: "x".repeat(length) });
  const overhead = padding(0).length;
  assertEquals(decodeBeacon(padding(MAX_BEACON_BYTES - overhead)), BEACON);
  assertRefused(padding(MAX_BEACON_BYTES - overhead + 1));
  assertRefused(new Uint8Array(65_507));
});

Deno.test("what is nested deeper than a beacon can be is refused unread", () => {
  assertEquals(decodeBeacon(wire({ more: [[[]]] })), BEACON);
  assertRefused(wire({ more: [[[[]]]] }));
  assertRefused(new TextEncoder().encode("[".repeat(MAX_BEACON_BYTES)));
});

Deno.test("hostile bytes are refused with PROTOCOL, never with anything else", () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc.dictionary(
      fc.constantFrom("type", "node_id", "boot_id", "network", "grpc_port", "answer", "__proto__"),
      fc.anything(),
    ).map(wire),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      readOrRefuse(bytes);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("twenty thousand mutated beacons are each read or refused, within seconds", () => {
  const random = seededRandom(2026);
  const whole = encodeBeacon(BEACON);
  const pick = (below: number) => Math.floor(random.next() * below);
  let read = 0;
  const start = performance.now();
  for (let i = 0; i < 20_000; i++) {
    const bytes = whole.slice(0, random.next() < 0.2 ? pick(whole.length + 1) : whole.length);
    for (let n = pick(3); n >= 0 && bytes.length > 0; n--) bytes[pick(bytes.length)] = pick(256);
    if (readOrRefuse(bytes)) read++;
  }
  const seconds = (performance.now() - start) / 1_000;
  // A second for them is usual: the bound is for slow machines.
  assert(seconds < 15, `took ${seconds} s`);
  assert(read > 100 && read < 12_000, `${read} were still beacons`);
});

/** Whether it is a beacon; what is read of it keeps its promises. */
function readOrRefuse(bytes: Uint8Array): boolean {
  try {
    const { nodeId, bootId, listenPort, network, isAnswer } = decodeBeacon(bytes);
    assert(/^[\w.-]{1,63}$/.test(nodeId) && /^[0-9A-Z]{1,64}$/.test(bootId));
    assert(Number.isInteger(listenPort) && listenPort > 0 && listenPort < 65_536);
    assert(typeof network === "string" && typeof isAnswer === "boolean");
    return true;
  } catch (thrown) {
    assert(thrown instanceof NetworkError && thrown.code === "PROTOCOL", String(thrown));
    return false;
  }
}
