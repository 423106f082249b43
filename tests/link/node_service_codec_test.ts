/** The messages of existing peers: against `proto/`, against known bytes, and against hostile ones. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromJSON } from "@grpc/proto-loader";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import {
  decodeHealth,
  decodeQuery,
  decodeStatus,
  decodeTopology,
  EMPTY_MESSAGE,
  encodeHealth,
  encodeQuery,
  encodeTopology,
  MAX_CONNECTIONS,
  MAX_MESSAGE_BYTES,
  MAX_NODES,
  type NodeTopology,
} from "../../src/link/node_service_codec.ts";
import { nodeServiceDescriptor } from "../../src/link/node_service_descriptor.gen.ts";

interface Reference {
  // deno-lint-ignore no-explicit-any
  requestSerialize(value: unknown): any;
  // deno-lint-ignore no-explicit-any
  requestDeserialize(bytes: unknown): any;
  // deno-lint-ignore no-explicit-any
  responseSerialize(value: unknown): any;
  // deno-lint-ignore no-explicit-any
  responseDeserialize(bytes: unknown): any;
}

/** The codecs that gRPC's own loader makes of `proto/`, by method. */
const reference = fromJSON(nodeServiceDescriptor, {
  keepCase: true,
  defaults: true,
  arrays: true,
  objects: true,
})["node_service.NodeService"] as unknown as Record<string, Reference>;

const anyId = fc.oneof(fc.uuid(), fc.stringMatching(/^[a-zä字🦊-]{1,20}$/u));
const anyFigure = fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
const anyRate = fc.oneof(fc.constant(null), fc.double({ min: 0.001, max: 1e6, noNaN: true }));
const anyName = fc.oneof(fc.constant(null), fc.stringMatching(/^[A-Za-z0-9()ä🦊]{1,40}$/u));

const anyTopology: fc.Arbitrary<NodeTopology> = fc.record({
  nodes: fc.array(fc.tuple(
    anyId,
    fc.record({
      model: anyName,
      chip: anyName,
      memory: anyFigure,
      flops: fc.record({ fp32: anyRate, fp16: anyRate, int8: anyRate }),
    }),
  )).map((entries) => new Map(entries)),
  connections: fc.array(fc.tuple(
    anyId,
    fc.array(fc.record({ to: anyId, description: anyName })),
  )).map((entries) => new Map(entries)),
});

Deno.test("the messages have the bytes that existing peers send", () => {
  const query = "0a0565786f2d620a0565786f2d611003";
  assertEquals(encodeQuery({ visited: ["exo-b", "exo-a"], maxDepth: 3 }).toHex(), query);
  assertEquals(decodeQuery(Uint8Array.fromHex(query)), {
    visited: ["exo-b", "exo-a"],
    maxDepth: 3,
  });
  assertEquals(encodeHealth(true).toHex(), "0801");
  assertEquals(decodeHealth(Uint8Array.fromHex("0801")), true);
  assertEquals(decodeHealth(EMPTY_MESSAGE), false);
});

Deno.test("a question for the topology is to a codec made of proto/ what it is here", () => {
  const { CollectTopology } = reference;
  const anyQuery = fc.record({
    visited: fc.array(anyId, { maxLength: 50 }),
    maxDepth: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  });
  fc.assert(fc.property(anyQuery, (query) => {
    const { visited, max_depth } = CollectTopology.requestDeserialize(encodeQuery(query));
    assertEquals({ visited, maxDepth: max_depth }, query);
    assertEquals(decodeQuery(CollectTopology.requestSerialize({ visited, max_depth })), query);
  }));
  // A negative int32 has ten bytes.
  const negative = CollectTopology.requestSerialize({ visited: [], max_depth: -1 });
  assertEquals(decodeQuery(negative).maxDepth, 0);
  // Of a longer number protobuf takes the low 32 bits.
  assertEquals(decodeQuery(Uint8Array.fromHex("10838080808001")).maxDepth, 3);
});

Deno.test("a topology is to a codec made of proto/ what it is here", () => {
  const { CollectTopology } = reference;
  fc.assert(fc.property(anyTopology, (topology) => {
    const read = CollectTopology.responseDeserialize(encodeTopology(topology));
    assertEquals(Object.keys(read.nodes).sort(), [...topology.nodes.keys()].sort());
    for (const [id, { model, chip, memory, flops }] of topology.nodes) {
      const node = read.nodes[id];
      assertEquals([node.model, node.chip, node.memory], [model ?? "", chip ?? "", memory ?? 0]);
      const { fp32, fp16, int8 } = flops;
      assertEquals({ ...node.flops }, { fp32: fp32 ?? 0, fp16: fp16 ?? 0, int8: int8 ?? 0 });
    }
    for (const [id, list] of topology.connections) {
      assertEquals(
        // deno-lint-ignore no-explicit-any
        read.peer_graph[id].connections.map((one: any) => [one.to_id, one.description ?? null]),
        list.map(({ to, description }) => [to, description]),
      );
    }
    assertEquals(decodeTopology(CollectTopology.responseSerialize(read)), topology);
  }));
});

Deno.test("a status is read as a codec made of proto/ writes it", () => {
  const bytes = reference.SendOpaqueStatus.requestSerialize({ request_id: "r", status: '{"a":1}' });
  const { requestId, status } = decodeStatus(bytes);
  assertEquals([requestId, new TextDecoder().decode(status)], ["r", '{"a":1}']);
});

Deno.test("ids and names lose what would harm a terminal, and are cut", () => {
  const nodes = { ["\u001b[31m" + "x".repeat(300)]: { model: "a\u202eb", chip: "", memory: -5 } };
  const bytes = reference.CollectTopology.responseSerialize({ nodes });
  const [[id, { model, chip, memory, flops }]] = decodeTopology(bytes).nodes;
  assertEquals([id.length, id.slice(0, 6)], [128, "[31mxx"]);
  assertEquals([model, chip, memory], ["ab", null, null]);
  assertEquals(flops, { fp32: null, fp16: null, int8: null });
});

Deno.test("figures that are none are unknown", () => {
  const flops = { fp32: NaN, fp16: Infinity, int8: -1 };
  const bytes = reference.CollectTopology.responseSerialize({ nodes: { a: { flops } } });
  assertEquals(decodeTopology(bytes).nodes.get("a")?.flops, {
    fp32: null,
    fp16: null,
    int8: null,
  });
});

Deno.test("more nodes, connections or bytes than a topology can have are refused", () => {
  const node = (i: number) => ({ model: `${i}` });
  const withNodes = (count: number) =>
    reference.CollectTopology.responseSerialize({
      nodes: Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, node(i)])),
    });
  assertEquals(decodeTopology(withNodes(MAX_NODES)).nodes.size, MAX_NODES);
  assertThrows(() => decodeTopology(withNodes(MAX_NODES + 1)), NetworkError, "1024 nodes");

  const withConnections = (count: number) =>
    reference.CollectTopology.responseSerialize({
      peer_graph: { a: { connections: Array.from({ length: count }, () => ({ to_id: "b" })) } },
    });
  assertEquals(
    decodeTopology(withConnections(MAX_CONNECTIONS)).connections.get("a")?.length,
    MAX_CONNECTIONS,
  );
  assertThrows(
    () => decodeTopology(withConnections(MAX_CONNECTIONS + 1)),
    NetworkError,
    "16384 connections",
  );

  assertThrows(
    () => decodeQuery(encodeQuery({ visited: Array(5_000).fill("x"), maxDepth: 1 })),
    NetworkError,
    "4096 visited nodes",
  );
  assertThrows(() => decodeQuery(new Uint8Array(MAX_MESSAGE_BYTES + 1)), NetworkError, "at most");
});

Deno.test("bytes that are no message are refused with PROTOCOL, never with anything else", () => {
  const decoders = [decodeQuery, decodeTopology, decodeHealth, decodeStatus];
  const readOrRefuse = (bytes: Uint8Array) => {
    for (const decode of decoders) {
      try {
        decode(bytes);
      } catch (thrown) {
        assert(thrown instanceof NetworkError && thrown.code === "PROTOCOL", String(thrown));
      }
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), readOrRefuse), { numRuns: 5_000 });

  const random = seededRandom(7);
  const [topology] = fc.sample(anyTopology, { numRuns: 1, seed: 7 });
  const whole = encodeTopology(topology);
  for (let i = 0; i < 5_000; i++) {
    const bytes = whole.slice(0, Math.ceil(random.next() * whole.length));
    for (let n = 0; n < 3; n++) {
      bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
    }
    readOrRefuse(bytes);
  }
});

Deno.test("a message that is cut or whose length lies is refused", () => {
  const whole = encodeTopology({
    nodes: new Map(),
    connections: new Map([["a", [{ to: "b", description: "eth0" }]]]),
  });
  for (let cut = 1; cut < whole.length; cut++) {
    assertThrows(() => decodeTopology(whole.subarray(0, cut)), NetworkError, "in the middle");
  }
  const lying = whole.slice();
  lying[1] = 0x7f;
  assertThrows(() => decodeTopology(lying), NetworkError, "in the middle");
});
