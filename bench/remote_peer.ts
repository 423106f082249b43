/** The other process of `remote_run.ts`: a node with an empty agent, and the bare echo. */

import { createAgent, createDistributedNetwork } from "../mod.ts";
import { serveBareStream } from "./bare_stream.ts";

const [broadcastPort] = Deno.args;
const empty = createAgent({ name: "empty", description: "Does nothing", run: () => "" });
const network = createDistributedNetwork({
  agents: [empty],
  name: "bench",
  networkInterfaces: ["lo"],
  nodeId: "peer",
  listenPort: 0,
  broadcastPort: Number(broadcastPort),
  slots: 256,
});
await network.start();
console.log(await serveBareStream());
