/** What existing peers are told, what is read of theirs, and what is none of it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { LABEL_PATTERN } from "../../src/base/safe_text.ts";
import { decodeBeacon, encodeBeacon, MAX_BEACON_BYTES } from "../../src/discovery/beacon.ts";
import {
  decodeForeignBeacon,
  foreignFields,
  type ForeignSelf,
  MAX_FOREIGN_BEACON_BYTES,
} from "../../src/discovery/foreign_beacon.ts";
import { anyText } from "../support/any_text.ts";

const EXO =
  '{"type":"discovery","node_id":"exo-a","grpc_port":50051,"device_capabilities":{"model":"Linux Box (Device: CPU)","chip":"Unknown Chip (Device: CPU)","memory":24105,"flops":{"fp32":0.0,"fp16":0.0,"int8":0.0}},"priority":4,"interface_name":"eth0","interface_type":"Ethernet"}';
const HANZO_NETWORK =
  '{"type":"discovery","node_id":"hz-a","listen_port":5678,"device_capabilities":{"model":"Linux Box","chip":"CPU","memory":24105,"flops":{"fp32":0.0,"fp16":0.0,"int8":0.0}},"timestamp":1795351407.4795916}';
const UNKNOWN_FLOPS = { fp32: null, fp16: null, int8: null };

const SELF: ForeignSelf = {
  broadcastPort: 5678,
  capabilities: {
    model: "GPU box",
    chip: "NVIDIA GeForce RTX 4090",
    memory: 65_536.4,
    flops: { fp32: 82.576, fp16: 165.2, int8: null },
  },
  interfaceName: "eth0",
  wallTime: 1_795_351_407_479.6,
};

const encoder = new TextEncoder();

function bytesOf(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** exo's beacon with some of it changed; what is undefined is left out. */
function exo(change: Record<string, unknown>): Uint8Array {
  return bytesOf({ ...JSON.parse(EXO), ...change });
}

function assertRefused(bytes: Uint8Array, what?: string): void {
  const error = assertThrows(() => decodeForeignBeacon(bytes), NetworkError, "", what);
  assertEquals(error.code, "PROTOCOL");
}

/** One datagram for all: our own beacon with what existing peers expect beside it. */
function superset(self: ForeignSelf, nodeId = "gpu-server", network = "home"): Uint8Array {
  const bootId = "01ARYZ6S41TSV4RRFFQ69G5FAV";
  const ours = encodeBeacon({ nodeId, bootId, network, listenPort: 65_535, isAnswer: false });
  return bytesOf({ ...JSON.parse(new TextDecoder().decode(ours)), ...foreignFields(self) });
}

Deno.test("a beacon of exo's is read", () => {
  assertEquals(decodeForeignBeacon(encoder.encode(EXO)), {
    kind: "exo",
    nodeId: "exo-a",
    port: 50051,
    capabilities: {
      model: "Linux Box (Device: CPU)",
      chip: "Unknown Chip (Device: CPU)",
      memory: 24_105,
      flops: UNKNOWN_FLOPS,
    },
    priority: 4,
    interfaceName: "eth0",
  });
});

Deno.test("a beacon of hanzo-network's is read, and names no port that answers", () => {
  assertEquals(decodeForeignBeacon(encoder.encode(HANZO_NETWORK)), {
    kind: "hanzo-network",
    nodeId: "hz-a",
    port: null,
    capabilities: { model: "Linux Box", chip: "CPU", memory: 24_105, flops: UNKNOWN_FLOPS },
    priority: null,
    interfaceName: null,
  });
});

Deno.test("rates are kept, fields of a later version ignored, capabilities not required", () => {
  const device = {
    model: "M",
    chip: "C",
    memory: 1,
    flops: { fp32: 1.5, fp16: 0, int8: 2, fp4: 9 },
  };
  const known = decodeForeignBeacon(exo({ device_capabilities: device, later: { a: [1] } }));
  assertEquals(known.capabilities?.flops, { fp32: 1.5, fp16: null, int8: 2 });
  for (const nothing of [undefined, null]) {
    const { capabilities } = decodeForeignBeacon(exo({ device_capabilities: nothing }));
    assertEquals(capabilities, null);
  }
});

Deno.test("any id becomes a label", () => {
  const labels: Record<string, string> = {
    "0b8a3c1e-8f43-4f43-9d3b-2f1f4b9f1c11": "0b8a3c1e-8f43-4f43-9d3b-2f1f4b9f1c11",
    "node-1a2b3c4d": "node-1a2b3c4d",
    "../../etc/passwd": "etc-passwd",
    "my node\u202e!": "my-node-",
    "\u001b[31mred": "31mred",
    ["x".repeat(128)]: "x".repeat(63),
  };
  for (const [id, label] of Object.entries(labels)) {
    assertEquals(decodeForeignBeacon(exo({ node_id: id })).nodeId, label);
  }
});

Deno.test("a beacon with a field missing, of a wrong type or out of range is refused", () => {
  const device = JSON.parse(EXO).device_capabilities;
  const wrong: Record<string, unknown[]> = {
    type: [undefined, "hello", 1],
    node_id: [undefined, null, 7, "", "...", "\u202e", "x".repeat(129), ["a"]],
    grpc_port: [undefined, "50051", 0, -1, 65_536, 1.5, null, true],
    device_capabilities: [
      "none",
      [],
      {},
      { ...device, memory: null },
      { ...device, memory: -1 },
      { ...device, model: 1 },
      { ...device, flops: { fp32: "fast", fp16: 1, int8: 1 } },
    ],
    priority: ["high", -1, 1.5],
    interface_name: [1, {}],
    boot_id: ["01ARYZ6S41TSV4RRFFQ69G5FAV", 1, null],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      assertRefused(exo({ [field]: value }), `${field}: ${JSON.stringify(value)}`);
    }
  }
  for (const value of [null, true, 1, "discovery", [], [JSON.parse(EXO)], {}]) {
    assertRefused(bytesOf(value), JSON.stringify(value));
  }
});

Deno.test("what is wrong with a beacon of our own does not make it a stranger's", () => {
  assertRefused(superset(SELF));
});

Deno.test("what is larger or deeper than such a beacon is refused unread", () => {
  const overhead = exo({ padding: "" }).length;
  const padded = (length: number) => exo({ padding: "x".repeat(length - overhead) });
  assertEquals(decodeForeignBeacon(padded(MAX_FOREIGN_BEACON_BYTES)).nodeId, "exo-a");
  assertRefused(padded(MAX_FOREIGN_BEACON_BYTES + 1));
  assertRefused(new Uint8Array(65_507));
  assertRefused(encoder.encode("[".repeat(MAX_FOREIGN_BEACON_BYTES)));
  assertRefused(exo({ more: [[[[[[[[]]]]]]]] }));
});

Deno.test("existing peers are told what they expect, and that what is unknown is 0", () => {
  assertEquals(foreignFields(SELF), {
    listen_port: 5678,
    device_capabilities: {
      model: "GPU box",
      chip: "NVIDIA GeForce RTX 4090",
      memory: 65_536,
      flops: { fp32: 82.58, fp16: 165.2, int8: 0 },
    },
    priority: 4,
    interface_name: "eth0",
    interface_type: "Ethernet",
    timestamp: 1_795_351_407.48,
  });
  const nothing = { model: null, chip: null, memory: null, flops: UNKNOWN_FLOPS };
  assertEquals(foreignFields({ ...SELF, capabilities: nothing }).device_capabilities, {
    model: "",
    chip: "",
    memory: 0,
    flops: { fp32: 0, fp16: 0, int8: 0 },
  });
});

Deno.test("an interface has the priority by which existing peers choose", () => {
  const priorities: Record<number, string[]> = {
    7: ["docker0", "br-1a2b3c", "veth0a1b", "cni0", "flannel.1", "calico1", "weave", "bridge100"],
    6: ["lo", "lo0"],
    5: ["tb0", "nx1", "ten0"],
    4: ["eth0", "enp3s0", "eno1", "en5", "en10"],
    3: ["wlan0", "wifi0", "wlp2s0", "en0", "en1"],
    2: ["tailscale0", "ppp0", "Local Area Connection"],
    1: ["tun0", "tap0", "utun3", "gif0", "awdl0", "llw0"],
  };
  for (const [priority, names] of Object.entries(priorities)) {
    for (const interfaceName of names) {
      assertEquals(foreignFields({ ...SELF, interfaceName }).priority, +priority, interfaceName);
    }
  }
});

Deno.test("one datagram is ours for us, and has what either existing peer requires", () => {
  const bytes = superset(SELF);
  assertEquals(decodeBeacon(bytes).nodeId, "gpu-server");
  const { boot_id: _, ...asTheyReadIt } = JSON.parse(new TextDecoder().decode(bytes));
  assertEquals(decodeForeignBeacon(bytesOf(asTheyReadIt)).kind, "exo");
  const { grpc_port: __, ...withoutPort } = asTheyReadIt;
  assertEquals(decodeForeignBeacon(bytesOf(withoutPort)).kind, "hanzo-network");
});

Deno.test("the datagram stays within its bounds, whatever the names and figures are", () => {
  const anyFigure = fc.oneof(fc.constant(null), fc.double({ min: 0, noNaN: true }));
  const anyName = fc.oneof(
    anyText({ maxLength: 200 }),
    fc.constantFrom('"'.repeat(200), "\\".repeat(200), "字".repeat(200), "🦊".repeat(200)),
  );
  const anySelf: fc.Arbitrary<ForeignSelf> = fc.record({
    broadcastPort: fc.integer({ min: 1, max: 65_535 }),
    capabilities: fc.record({
      model: anyName,
      chip: anyName,
      memory: anyFigure,
      flops: fc.record({ fp32: anyFigure, fp16: anyFigure, int8: anyFigure }),
    }),
    interfaceName: anyName,
    wallTime: fc.double({ min: 0, max: 4e12, noNaN: true }),
  });
  fc.assert(fc.property(anySelf, (self) => {
    const fields = foreignFields(self);
    assert(bytesOf(fields).length <= 500);
    assert(Number.isInteger(fields.device_capabilities.memory));
    // The longest label and network name that there are.
    const bytes = superset(self, "n".repeat(63), "🦊".repeat(128));
    assert(bytes.length <= MAX_BEACON_BYTES, `${bytes.length} bytes`);
  }));
});

Deno.test("hostile bytes are refused with PROTOCOL, never with anything else", () => {
  const fields = [...Object.keys(JSON.parse(EXO)), "listen_port", "boot_id", "__proto__"];
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => encoder.encode(text)),
    fc.dictionary(fc.constantFrom(...fields), fc.anything()).map(exo),
    fc.record({ node_id: anyText({ maxLength: 140 }), interface_name: anyText() }).map(exo),
    fc.integer({ min: 1, max: 4_000 }).map((depth) => exo({ deep: nested(depth) })),
  );
  fc.assert(fc.property(hostile, (bytes) => void readOrRefuse(bytes)), { numRuns: 5_000 });
});

Deno.test("ten thousand mutated beacons are each read or refused", () => {
  const random = seededRandom(2026);
  const pick = (below: number) => Math.floor(random.next() * below);
  let read = 0;
  for (let i = 0; i < 10_000; i++) {
    const whole = encoder.encode(i % 2 === 0 ? EXO : HANZO_NETWORK);
    const bytes = whole.slice(0, random.next() < 0.2 ? pick(whole.length + 1) : whole.length);
    for (let n = pick(3); n >= 0 && bytes.length > 0; n--) bytes[pick(bytes.length)] = pick(256);
    if (readOrRefuse(bytes)) read++;
  }
  assert(read > 100 && read < 8_000, `${read} were still beacons`);
});

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** Whether it is such a beacon; what is read of it keeps its promises. */
function readOrRefuse(bytes: Uint8Array): boolean {
  try {
    const { nodeId, kind, port, capabilities, interfaceName } = decodeForeignBeacon(bytes);
    assert(LABEL_PATTERN.test(nodeId), nodeId);
    assertEquals(port === null, kind === "hanzo-network");
    const { memory = null, model = null, flops = UNKNOWN_FLOPS } = capabilities ?? {};
    for (const figure of [memory, flops.fp32, flops.fp16, flops.int8]) {
      assert(figure === null || (Number.isFinite(figure) && figure > 0));
    }
    // deno-lint-ignore no-control-regex
    for (const text of [model, interfaceName]) assert(!/[\u0000-\u001f\u202e]/.test(text ?? ""));
    return true;
  } catch (thrown) {
    assert(thrown instanceof NetworkError && thrown.code === "PROTOCOL", String(thrown));
    return false;
  }
}
