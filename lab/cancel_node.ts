/**
 * A node of `cancel.ts`: `first` has an agent that asks another one, `second` has that one, which
 * works until it is stopped, and prints when it began and when it was.
 *
 *     deno run -A lab/cancel_node.ts first|second DATA_DIRECTORY BEACON_PORT
 */

import { createAgent, createDistributedNetwork } from "../mod.ts";

const [nodeId, dataDirectory, port] = Deno.args;
const now = () => performance.timeOrigin + performance.now();
const tell = (event: string, index: string) =>
  console.log(JSON.stringify({ event, index: Number(index), at: now() }));
const asks = createAgent({
  name: "asks",
  description: "Lets another one work",
  run: async ({ prompt, callAgent }) => (await callAgent("works", prompt)).output,
});
const works = createAgent({
  name: "works",
  description: "Works until it is stopped",
  run: ({ prompt, signal }) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener("abort", () => {
        tell("stopped", prompt);
        reject(signal.reason);
      });
      tell("began", prompt);
    }),
});
const network = createDistributedNetwork({
  nodeId,
  dataDirectory,
  networkInterfaces: ["lo"],
  listenPort: 0,
  broadcastPort: Number(port),
  slots: 64,
  agents: [nodeId === "first" ? asks : works],
});
await network.start({ waitForPeers: 1 });
console.log(JSON.stringify({ event: "ready" }));
