/** A process that claims a node, publishes it, says so, and holds it until it is killed. */

import { claimNode } from "../../src/network/data_directory.ts";

const [directory, nodeId] = Deno.args;
const claimed = await claimNode(directory, nodeId, "unused");
await claimed.publish(
  {
    nodeId,
    network: "home",
    api: "http://127.0.0.1:1",
    grpc: "127.0.0.1:2",
    pid: Deno.pid,
    startedAt: 1,
  },
  "secret",
);
console.log("claimed");
setInterval(() => {}, 60_000);
