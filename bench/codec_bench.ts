/** What beacons and frames cost to write and read; the baselines are JSON alone and gRPC's codec. */

import { fromJSON } from "@grpc/proto-loader";
import { decodeBeacon, encodeBeacon } from "../src/discovery/beacon.ts";
import { Kind } from "../src/link/frame.ts";
import { decodeFrame, encodeFrame, FrameWriter } from "../src/link/frame_codec.ts";
import { networkDescriptor } from "../src/link/network_descriptor.gen.ts";

const beacon = {
  nodeId: "gpu-server",
  bootId: "01JDD0000000000000000000ZZ",
  network: "hanzo",
  listenPort: 5681,
  isAnswer: false,
};
const beaconBytes = encodeBeacon(beacon);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

Deno.bench({
  name: "JSON.stringify and encode",
  group: "write a beacon",
  baseline: true,
  fn: () => void encoder.encode(JSON.stringify(beacon)),
});
Deno.bench({ name: "encodeBeacon", group: "write a beacon", fn: () => void encodeBeacon(beacon) });

Deno.bench({
  name: "decode and JSON.parse",
  group: "read a beacon",
  baseline: true,
  fn: () => void JSON.parse(decoder.decode(beaconBytes)),
});
Deno.bench({
  name: "decodeBeacon: bounds, shape, names",
  group: "read a beacon",
  fn: () => void decodeBeacon(beaconBytes),
});

const body = JSON.stringify({ taskId: "01JDD0000000000000000000ZZ", prompt: "x".repeat(64) });
const messages = Array.from({ length: 16 }, (_, i) => ({
  kind: Kind.Call,
  call: 2 * i + 1,
  method: "run",
  body,
}));
const load = { running: 1, queued: 0, slots: 4, modelCalls: 0, callsReceived: 1_000 };
const frameBytes = encodeFrame(messages, load);
const writer = new FrameWriter();
const { Link } = fromJSON(networkDescriptor, { keepCase: true, longs: Number })[
  "hanzo.network.v1.Network"
] as unknown as {
  Link: {
    requestSerialize(value: unknown): Uint8Array;
    requestDeserialize(bytes: Uint8Array): unknown;
  };
};
const reference = {
  messages: messages.map((message) => ({ ...message, body: encoder.encode(message.body) })),
  load: { running: 1, queued: 0, slots: 4, calls_received: 1_000 },
};

Deno.bench({
  name: "protobufjs",
  group: "write a frame of 16 calls",
  baseline: true,
  fn: () => void Link.requestSerialize(reference),
});
Deno.bench({
  name: "FrameWriter, as a link uses it",
  group: "write a frame of 16 calls",
  fn() {
    for (const message of messages) writer.message(message);
    writer.load(load);
    writer.take();
  },
});
Deno.bench({
  name: "protobufjs",
  group: "read a frame of 16 calls",
  baseline: true,
  fn: () => void Link.requestDeserialize(frameBytes),
});
Deno.bench({
  name: "decodeFrame",
  group: "read a frame of 16 calls",
  fn: () => void decodeFrame(frameBytes),
});
