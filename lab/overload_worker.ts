/**
 * A node that works in `overload.ts`.
 *
 *     deno run -A lab/overload_worker.ts NODE_ID DATA_DIRECTORY BEACON_PORT
 */

import { createAgent, createDistributedNetwork } from "../mod.ts";
import { SERVICE_MS, SLOTS } from "./overload_plan.ts";

const [nodeId, dataDirectory, port] = Deno.args;
const network = createDistributedNetwork({
  nodeId,
  dataDirectory,
  networkInterfaces: ["lo"],
  listenPort: 0,
  broadcastPort: Number(port),
  slots: SLOTS,
  agents: [createAgent({
    name: "unit",
    description: "Takes its time",
    run: () => new Promise<string>((resolve) => setTimeout(resolve, SERVICE_MS, "")),
  })],
});
await network.start();
console.log("ready");
