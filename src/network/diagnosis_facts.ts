/** What the doctor reads, and what it finds. */

import type { EngineStatus } from "../engines/engine_watch.ts";
import type { FrontReport } from "../link/refusals.ts";
import type { UdpReport } from "../discovery/udp_report.ts";
import type { TrustProblem } from "../security/trust.ts";
import type { NetworkInterface } from "../transport/interfaces.ts";
import type { MissingPermission } from "./missing_permissions.ts";
import type { NetworkStatus } from "./status.ts";

/** How bad it is: `error` keeps peers away, `warning` may, `info` is worth knowing. */
export type Severity = "ok" | "info" | "warning" | "error";

/** One thing that was found. */
export interface Finding {
  /** How bad it is. */
  severity: Severity;
  /** What it is about: `"interface eth0"`, `"peer gpu-server"`, `"clock"`. */
  subject: string;
  /** What was found. */
  message: string;
  /** What to do about it, where something can be done. */
  mend?: string;
}

/** What a probe of one address of a peer came to. */
export interface AddressProbe {
  /** `host:port`. */
  address: string;
  /** The round trip in milliseconds; null when nobody answered. */
  latencyMs: number | null;
  /** Why not. */
  problem: string | null;
}

/** What the rules read. */
export interface DiagnosisFacts {
  readonly status: NetworkStatus;
  /** `Deno.build.os`. */
  readonly os: string;
  /** This machine's time, in milliseconds since 1970. */
  readonly wallTime: number;
  /** Whether the node talks to other machines at all. */
  readonly leavesMachine: boolean;
  /** What was refused where links are accepted; undefined before the start. */
  readonly refused: FrontReport | undefined;
  /** What is wrong with the certificates that this node shows. */
  readonly trustProblems: readonly TrustProblem[];
  /** To whom the node is open: nobody, every private address, or a CIDR range. */
  readonly open: boolean | string;
  /** The interfaces of this machine. */
  readonly interfaces: readonly NetworkInterface[];
  /** Whether links are accepted on another port than usual, because that one was taken. */
  readonly portWasTaken: boolean;
  /** Undefined without UDP. */
  readonly udp: UdpReport | undefined;
  /** Interfaces that are not used, and why. */
  readonly leftOut: readonly { name: string; address: string; why: string }[];
  /** What keeps Tailscale from being asked. */
  readonly tailscaleProblem: string | undefined;
  /** How far the clocks of peers are ahead of this one, in milliseconds. */
  readonly clocksAhead: ReadonlyMap<string, number>;
  /** When beacons of peers last came, in milliseconds ago; not of those that never did. */
  readonly sightedAgo: ReadonlyMap<string, number>;
  /** The engines of this device, and the places where one was looked for. */
  readonly engines: readonly EngineStatus[];
  /** Permissions that were not granted, with what is missing without them. */
  readonly missingPermissions: readonly MissingPermission[];
  /** The peer that was asked about, and what probing it came to. */
  readonly asked: { readonly nodeId: string; readonly probes: readonly AddressProbe[] } | undefined;
}
