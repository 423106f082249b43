/**
 * Two nodes in one program, and a router of its own that sends long texts to the device with the
 * most memory and everything else to the least loaded: `deno run -A examples/custom_router.ts`.
 */

import { createAgent, createDistributedNetwork, type CustomRouter } from "@hanzo/network";

const echo = createAgent({
  name: "echo",
  description: "Says where it ran",
  run: ({ nodeId }) => `ran on ${nodeId}`,
});

const customRouter: CustomRouter = (_agents, state, peers) => {
  const by = (value: (peer: (typeof peers)[number]) => number) =>
    peers.reduce((best, peer) => value(peer) > value(best) ? peer : best);
  return state.context.length > 10_000
    ? by((peer) => peer.capabilities.memory ?? 0)
    : by((peer) => -peer.currentLoad);
};

const common = {
  name: "example",
  agents: [echo],
  networkInterfaces: ["lo"],
  broadcastPort: 45_695,
  listenPort: 0,
};
await using laptop = createDistributedNetwork({
  ...common,
  nodeId: "laptop",
  customRouter,
  deviceCapabilities: { chip: "Apple M3", memory: 16_384 },
});
await using server = createDistributedNetwork({
  ...common,
  nodeId: "server",
  deviceCapabilities: { chip: "NVIDIA GeForce RTX 4090", memory: 131_072 },
});
await server.start();
await laptop.start({ waitForPeers: 1 });

const short = await laptop.run("hello", { initialAgent: echo });
const long = await laptop.run("hello", { initialAgent: echo, context: "x".repeat(20_000) });
console.log(`short text: ${short.output}, because ${short.reason}`);
console.log(`long text: ${long.output}, because ${long.reason}`);
