/** The ways in which a node looks for others, as its options ask for them. */

import type { Clock } from "../base/clock.ts";
import { type DeviceCapabilities, UNKNOWN_DEVICE } from "../device/capabilities.ts";
import { createCommandRunner } from "../device/command.ts";
import type { Discovery } from "../discovery/discovery.ts";
import type { ForeignPeers } from "../discovery/foreign_peers.ts";
import { MachineDiscovery } from "../discovery/machine.ts";
import { ManualDiscovery } from "../discovery/manual.ts";
import { TailscaleDiscovery } from "../discovery/tailscale.ts";
import { TailscaleAttributes } from "../discovery/tailscale_attributes.ts";
import { MAX_STATUS_BYTES } from "../discovery/tailscale_status.ts";
import { UdpDiscovery } from "../discovery/udp.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { NetworkKey } from "../security/network_key.ts";
import type { DatagramTransport } from "../transport/datagram.ts";
import { runningNodes } from "./data_directory.ts";
import { DEFAULT_LISTEN_PORT, type ResolvedOptions } from "./options.ts";

/** What they need of the node. */
export interface DiscoveryNeeds {
  readonly clock: Clock;
  readonly datagrams: DatagramTransport;
  readonly self: () => NodeDescription;
  readonly allows: (host: string) => boolean;
  /** What beacons are sealed with, as in `UdpDiscoveryOptions`; undefined: nothing. */
  readonly keys: (() => readonly NetworkKey[]) | undefined;
  /** Whether to look for others beyond this machine. */
  readonly lan: boolean;
  /** Whether somebody is missed. */
  readonly misses: () => boolean;
  /** Peers of other programs; undefined when they are ignored. */
  readonly foreign: ForeignPeers | undefined;
}

/** What looks for others, and of it what can say how it fares. */
export interface Discoveries {
  readonly all: readonly Discovery[];
  readonly udp: UdpDiscovery | undefined;
  readonly tailscale: TailscaleDiscovery | undefined;
}

/** Puts them together; none has been started. */
export function makeDiscoveries(options: ResolvedOptions, needs: DiscoveryNeeds): Discoveries {
  const { discoveryModes, logger, nodeId, dataDirectory, peers, configPath: file } = options;
  const { clock, datagrams: transport, self, keys, lan, allows, misses: isUrgent, foreign } = needs;
  const udp = discoveryModes.has("udp")
    ? new UdpDiscovery({
      transport,
      clock,
      logger,
      interfaces: { names: options.networkInterfaces, lan },
      broadcastPort: options.broadcastPort,
      self,
      keys,
      allows,
      isUrgent,
      neighbours: foreign && { peers: foreign, capabilities: knownCapabilities(self) },
    })
    : undefined;
  const manual = discoveryModes.has("manual")
    ? new ManualDiscovery({ clock, logger, self: nodeId, peers, file })
    : undefined;
  const tailscale = discoveryModes.has("tailscale") ? tailscaleOf(options, needs) : undefined;
  const machine = dataDirectory === undefined ? undefined : new MachineDiscovery({
    clock,
    logger,
    self: nodeId,
    running: async () =>
      (await runningNodes(dataDirectory)).filter(({ network }) => network === self().network),
  });
  const all = [udp, manual, tailscale, machine].filter((one) => one !== undefined);
  return { all, udp, tailscale };
}

/** What this device is, once that was looked at. */
function knownCapabilities(self: () => NodeDescription): () => DeviceCapabilities | undefined {
  return () => {
    const { capabilities } = self();
    return capabilities === UNKNOWN_DEVICE ? undefined : capabilities;
  };
}

function tailscaleOf(
  { logger, tailscale: { path, apiKey, tailnet, apiUrl } }: ResolvedOptions,
  { clock, self }: DiscoveryNeeds,
): TailscaleDiscovery {
  return new TailscaleDiscovery({
    clock,
    logger,
    run: createCommandRunner({ clock, maxOutputBytes: MAX_STATUS_BYTES }),
    os: Deno.build.os,
    path,
    port: DEFAULT_LISTEN_PORT,
    attributes: apiKey === undefined
      ? undefined
      : new TailscaleAttributes({ clock, apiKey, tailnet, baseUrl: apiUrl, self }),
  });
}
