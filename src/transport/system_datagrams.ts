/** The best datagrams that this Deno has. */

import type { DatagramTransport } from "./datagram.ts";
import { denoDatagrams, hasDenoDatagrams } from "./deno_datagram.ts";
import { systemInterfaces } from "./system_interfaces.ts";

/** `Deno.listenDatagram` where it exists, else `node:dgram`, which is loaded only then. */
export function systemDatagrams(): DatagramTransport {
  if (hasDenoDatagrams()) return denoDatagrams;
  return {
    name: "node:dgram",
    interfaces: systemInterfaces,
    async bind(...args) {
      const { nodeDatagrams } = await import("./node_datagram.ts");
      return await nodeDatagrams.bind(...args);
    },
  };
}
