/** The other process of `moleculer.ts`: a node with an empty agent, and Moleculer with an empty action. */

import { ServiceBroker } from "moleculer";
import { createAgent, createDistributedNetwork } from "../mod.ts";
import { CALLER, ECHO_SIZES, PEER, PORTS, transporter } from "./moleculer_setting.ts";

const [broadcastPort] = Deno.args;
const answers = new Map(ECHO_SIZES.map((bytes) => [bytes, "x".repeat(bytes)]));
const network = createDistributedNetwork({
  agents: [
    createAgent({ name: "empty", description: "Does nothing", run: () => "" }),
    createAgent({
      name: "echo",
      description: "Says as much as it was told",
      run: ({ prompt }) => answers.get(prompt.length) ?? prompt,
    }),
  ],
  name: "bench",
  networkInterfaces: ["lo"],
  nodeId: "peer",
  listenPort: 0,
  broadcastPort: Number(broadcastPort),
  slots: 256,
});
const broker = new ServiceBroker({
  nodeID: PEER,
  logger: false,
  transporter: transporter(PORTS[PEER]),
});
broker.createService({
  name: "bench",
  actions: {
    empty: () => "",
    echo: ({ params }: { params: { text: string } }) => answers.get(params.text.length),
  },
});
await network.start();
await broker.start();
console.log(`ready for ${CALLER}`);
