/**
 * A node with its gateway: what `gateway.ts` measures. Its arguments are its name, the port of the
 * beacons, and the URL of its engine, if it has one. It ends with its standard input.
 */

import { createDistributedNetwork } from "../mod.ts";
import { silentLogger } from "../src/base/log.ts";
import { Gateway } from "../src/gateway/gateway.ts";

const [nodeId, broadcastPort, engine] = Deno.args;
const network = createDistributedNetwork({
  name: "bench",
  nodeId,
  networkInterfaces: ["lo"],
  listenPort: 0,
  broadcastPort: Number(broadcastPort),
  engines: engine === undefined ? [] : [engine],
  findEngines: false,
});
await network.start();
const gateway = await Gateway.start({
  network,
  port: 0,
  token: "0".repeat(64),
  logger: silentLogger,
});
console.log(new URL(gateway.url).port);
await Deno.stdin.read(new Uint8Array(1));
await gateway.stop();
await network.stop();
