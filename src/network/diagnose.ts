/** Gathers what is known of a node's way to its peers, and has it read. */

import { describeError } from "../base/errors.ts";
import { formatAddress } from "../link/frame_stream.ts";
import { whyLeftOut } from "../transport/interfaces.ts";
import { type AddressProbe, type Finding, findings } from "./diagnosis.ts";
import { DEFAULT_LISTEN_PORT } from "./options.ts";
import type { NetworkParts } from "./parts.ts";
import type { NetworkStatus } from "./status.ts";

/** What each permission is for that is asked after. */
const PERMISSIONS: readonly { name: Deno.PermissionName; flag: string; without: string }[] = [
  { name: "net", flag: "--allow-net", without: "only some addresses can be talked to" },
  { name: "sys", flag: "--allow-sys", without: "interfaces and memory may be unknown" },
  { name: "run", flag: "--allow-run", without: "the device's tools and Tailscale cannot be asked" },
  { name: "read", flag: "--allow-read", without: "some files cannot be read" },
];

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
  const { options, discoveries, membership, clock, interfaces } = parts;
  const choice = { names: options.networkInterfaces, lan: options.open !== false };
  const peers = membership.peers();
  return findings({
    status,
    os: Deno.build.os,
    wallTime: clock.wallTime(),
    isOpen: options.open !== false,
    portWasTaken: options.listenPort === undefined &&
      parts.self().listenPort !== DEFAULT_LISTEN_PORT,
    udp: discoveries.udp?.report(),
    leftOut: interfaces().flatMap((one) => {
      const why = whyLeftOut(one, choice);
      return why === undefined ? [] : [{ name: one.name, address: one.address, why }];
    }),
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
    missingPermissions: await missingPermissions(),
    asked: nodeId === undefined ? undefined : { nodeId, probes: await probe(parts, nodeId) },
  });
}

async function missingPermissions(): Promise<{ flag: string; without: string }[]> {
  const states = await Promise.all(
    PERMISSIONS.map(({ name }) => Deno.permissions.query({ name } as Deno.PermissionDescriptor)),
  );
  return PERMISSIONS.filter((_, i) => states[i].state !== "granted");
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
