/** Peers of other programs, which an open node is a good neighbour to. */

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { ForeignPeers } from "../discovery/foreign_peers.ts";
import type { GrpcService } from "../link/grpc_service.ts";
import { nodeService } from "../link/node_service.ts";
import type { Membership } from "../membership/membership.ts";
import type { NodeDescription } from "../membership/node_description.ts";

/** What they are told of this node, and by what. */
export interface NeighbourNeeds {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: () => NodeDescription;
  readonly allows: (host: string) => boolean;
  readonly membership: () => Pick<Membership, "peers">;
}

/** Those that were heard, and what is served for them beside links. */
export interface Neighbours {
  readonly peers: ForeignPeers;
  readonly service: GrpcService;
}

/** Puts them together. */
export function makeNeighbours(needs: NeighbourNeeds): Neighbours {
  const { clock, random, logger, self, allows, membership } = needs;
  // gRPC is loaded only when there is somebody to ask.
  const client = async () => {
    const { nodeServiceClient } = await import("../link/node_service_client.ts");
    return nodeServiceClient(clock);
  };
  const peers = new ForeignPeers({
    clock,
    random,
    check: async (address, signal) => (await client()).healthCheck(address, signal),
    onEvent: ({ type, peer: { kind, nodeId, problem } }) => {
      logger.info("{kind} peer {nodeId} has {type}", { kind, nodeId, type, problem });
    },
  });
  const service = nodeService({
    clock,
    logger,
    allows,
    topology: () => ({
      nodeId: self().nodeId,
      capabilities: self().capabilities,
      neighbours: [
        ...membership().peers().flatMap(({ nodeId, state, description }) =>
          state === "alive" && description !== undefined
            ? [{ nodeId, capabilities: description.capabilities, description: "link" }]
            : []
        ),
        ...peers.topology(),
      ],
    }),
    collect: async (address, query, signal) =>
      (await client()).collectTopology(address, query, signal),
    onStatus: ({ host, requestId }) => logger.debug("Status of {host}", { host, requestId }),
  });
  return { peers, service };
}
