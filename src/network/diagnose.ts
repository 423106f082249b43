/** Gathers what is known of a node's way to its peers, and has it read. */

import { describeError } from "../base/errors.ts";
import { formatAddress } from "../link/frame_stream.ts";
import {
  type InterfaceChoice,
  type NetworkInterface,
  whyLeftOut,
} from "../transport/interfaces.ts";
import { findings } from "./diagnosis.ts";
import type { AddressProbe, Finding } from "./diagnosis_facts.ts";
import { missingPermissions } from "./missing_permissions.ts";
import { DEFAULT_LISTEN_PORT, leavesMachine } from "./options.ts";
import type { NetworkParts } from "./parts.ts";
import type { NetworkStatus } from "./status.ts";

/** The interfaces of `all` that are not used, and why. */
export function leftOut(
  all: readonly NetworkInterface[],
  choice: InterfaceChoice,
): { name: string; address: string; why: string }[] {
  return all.flatMap((one) => {
    const why = whyLeftOut(one, choice);
    return why === undefined ? [] : [{ name: one.name, address: one.address, why }];
  });
}

/**
 * What is found about this node, and about one peer if it is named.
 *
 * @param nodeId The peer; each of its addresses is dialled to see who answers.
 */
export async function diagnose(
  parts: NetworkParts,
  status: NetworkStatus,
  nodeId: string | undefined,
): Promise<Finding[]> {
  const { options, discoveries, membership, clock } = parts;
  const interfaces = parts.interfaces();
  const lan = leavesMachine(options);
  const choice = { names: options.networkInterfaces, lan };
  const peers = membership.peers();
  return findings({
    status,
    os: Deno.build.os,
    wallTime: clock.wallTime(),
    leavesMachine: leavesMachine(options),
    refused: parts.pool.refused(),
    trustProblems: parts.trust()?.problems?.() ?? [],
    open: options.open,
    interfaces,
    portWasTaken: options.listenPort === undefined &&
      parts.self().listenPort !== DEFAULT_LISTEN_PORT,
    udp: discoveries.udp?.report(),
    leftOut: leftOut(interfaces, choice),
    tailscaleProblem: discoveries.tailscale?.problem,
    clocksAhead: new Map(
      peers.flatMap(({ nodeId, clockAheadMs }) =>
        clockAheadMs === undefined ? [] : [[nodeId, clockAheadMs]]
      ),
    ),
    sightedAgo: new Map(
      peers.flatMap(({ nodeId, sightedAt }) =>
        sightedAt === undefined ? [] : [[nodeId, clock.now() - sightedAt]]
      ),
    ),
    engines: parts.engines.engines(),
    missingPermissions: missingPermissions({ lan, dataDirectory: options.dataDirectory }),
    asked: nodeId === undefined ? undefined : { nodeId, probes: await probe(parts, nodeId) },
  });
}

async function probe({ membership, pool }: NetworkParts, nodeId: string): Promise<AddressProbe[]> {
  const addresses = membership.get(nodeId)?.addresses ?? [];
  return await Promise.all(addresses.map(async (one) => {
    const address = formatAddress(one);
    try {
      return { address, latencyMs: await pool.measure(one), problem: null };
    } catch (thrown) {
      return { address, latencyMs: null, problem: describeError(thrown) };
    }
  }));
}
