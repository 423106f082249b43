/**
 * A child process: what listens for links in a node, with the service of existing peers beside
 * them. Prints its port. Frames of a link come back as they are, but an empty one is answered with
 * how the process is. With a network key in `TEST_KEY` it talks to members only.
 */

import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/log.ts";
import { grpcTransport } from "../../../src/link/grpc_transport.ts";
import { nodeService } from "../../../src/link/node_service.ts";
import { NetworkKey } from "../../../src/security/network_key.ts";
import { memberOf } from "../../support/members.ts";
import type { NodeReport } from "./scene.ts";

const CAPABILITIES = {
  model: "box",
  chip: "none",
  memory: 1_024,
  flops: { fp32: 1, fp16: 1, int8: 1 },
};

const secret = Deno.env.get("TEST_KEY");
const service = nodeService({
  clock: systemClock,
  logger: silentLogger,
  allows: () => true,
  topology: () => ({ nodeId: "attacked", capabilities: CAPABILITIES, neighbours: [] }),
  collect: () => Promise.reject(new Error("There are no neighbours.")),
});
const transport = grpcTransport({
  services: [service],
  security: secret === undefined
    ? undefined
    : await memberOf(NetworkKey.from(Uint8Array.fromHex(secret)), "attacked"),
});
let links = 0;
let frames = 0;
const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
  links++;
  let takesMore = true;
  stream.start({
    onFrame(frame) {
      frames++;
      // Who does not take its answers gets no more of them.
      if (takesMore) takesMore = stream.send(frame.length === 0 ? report() : frame);
    },
    onDrain: () => takesMore = true,
    onClose: () => void links--,
  });
});
console.log(listener.address.port);

function report(): Uint8Array {
  const { flood, crowd } = listener.report!();
  const report: NodeReport = {
    rss: Deno.memoryUsage().rss,
    links,
    frames,
    floods: flood.count,
    crowd: crowd.count,
  };
  return new TextEncoder().encode(JSON.stringify(report));
}
