/**
 * Why a peer is not seen: what a node knows of its sockets, its interfaces and its peers, read by
 * rules that say what it means and what helps. Pure: the facts are gathered elsewhere.
 */

import type { DropReason, InterfaceReport, UdpReport } from "../discovery/udp_report.ts";
import {
  broadcastAddress,
  interfaceTo,
  isLoopback,
  type NetworkInterface,
} from "../transport/interfaces.ts";
import { reachOf } from "./reach.ts";
import type { NetworkStatus, PeerStatus } from "./status.ts";

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
  /** Permissions that were not granted, with what is missing without them. */
  readonly missingPermissions: readonly { flag: string; without: string }[];
  /** The peer that was asked about, and what probing it came to. */
  readonly asked: { readonly nodeId: string; readonly probes: readonly AddressProbe[] } | undefined;
}

/** What is found, the worst first. */
export function findings(facts: DiagnosisFacts): Finding[] {
  return worstFirst([
    ...aboutLinks(facts),
    ...aboutReach(facts),
    ...aboutPermissions(facts),
    ...aboutInterfaces(facts),
    ...aboutDatagrams(facts),
    ...aboutClock(facts),
    ...aboutPeers(facts),
    ...aboutAsked(facts),
  ]);
}

/** What the rules read where no node runs. */
export type HostFacts =
  & Pick<DiagnosisFacts, "open" | "interfaces" | "leftOut" | "missingPermissions" | "wallTime">
  & { readonly broadcastPort: number };

/** What is found about a machine before a node runs there, the worst first. */
export function hostFindings(facts: HostFacts): Finding[] {
  const isLeftOut = (one: NetworkInterface) =>
    facts.leftOut.some(({ name, address }) => name === one.name && address === one.address);
  const used = facts.interfaces.filter((one) => !isLeftOut(one));
  return worstFirst([
    ...aboutReach(facts),
    ...aboutPermissions(facts),
    ...used.map((one): Finding => ({
      severity: "ok",
      subject: `interface ${one.name}`,
      message: `${one.address} would be used, with beacons to ` +
        `${broadcastAddress(one)}:${facts.broadcastPort}`,
    })),
    ...(used.length === 0 ? [NO_INTERFACE] : []),
    ...aboutLeftOut(facts),
    ...aboutClock({ wallTime: facts.wallTime, clocksAhead: new Map() }),
  ]);
}

function worstFirst(all: readonly Finding[]): Finding[] {
  const order: Severity[] = ["error", "warning", "info", "ok"];
  return all.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function aboutLinks(facts: DiagnosisFacts): Finding[] {
  const { status, open, portWasTaken, tailscaleProblem } = facts;
  const found: Finding[] = [{
    severity: portWasTaken ? "info" : "ok",
    subject: "links",
    message: `links are accepted at ${status.address}` +
      (portWasTaken ? ": the usual port was taken" : ""),
    ...(portWasTaken && open !== false && { mend: "let that port through the firewall, too" }),
  }];
  if (tailscaleProblem !== undefined) {
    found.push({ severity: "warning", subject: "tailscale", message: tailscaleProblem });
  }
  return found;
}

function aboutReach(
  { open, interfaces }: Pick<DiagnosisFacts, "open" | "interfaces">,
): Finding[] {
  const subject = "reach";
  if (open === false) {
    return [{
      severity: "info",
      subject,
      message: "this node keeps to its own machine; other devices can neither see nor reach it",
      mend: "start it with --open to talk to devices of the local network, without encryption",
    }];
  }
  if (open === true || leadsTo(open, interfaces)) return [];
  return [{
    severity: "warning",
    subject,
    message: `no interface of this machine is in ${open}, the range that this node is open to`,
    mend: "give --open the range of one of its networks, or name peers beyond a router by --peer",
  }];
}

/** Of two CIDR ranges that overlap, one is in the other. */
function leadsTo(range: string, interfaces: readonly NetworkInterface[]): boolean {
  const networks = interfaces.filter((one) => !isLoopback(one));
  const isInRange = reachOf(range);
  return networks.some(({ address }) => isInRange(address)) ||
    interfaceTo(range.split("/")[0], networks) !== undefined;
}

function aboutPermissions(
  { missingPermissions }: Pick<DiagnosisFacts, "missingPermissions">,
): Finding[] {
  return missingPermissions.map(({ flag, without }) => ({
    severity: "warning",
    subject: "permissions",
    message: `${flag} is not granted: ${without}`,
    mend: `start it with ${flag}`,
  }));
}

/** Beacons after which their fate says something: the burst of the start. */
const ENOUGH_BEACONS = 3;

/** A beacon goes every 2.5 s: of four that were lost one may be chance, all are not. */
const LATELY_MS = 10_000;

const NO_INTERFACE: Finding = {
  severity: "error",
  subject: "interfaces",
  message: "there is none on which to look for peers",
  mend: "connect this machine to a network, or name an interface with --network-interface",
};

function aboutInterfaces(facts: DiagnosisFacts): Finding[] {
  const { udp, os } = facts;
  if (udp === undefined) return [];
  return [
    ...udp.interfaces.flatMap((one) => aboutInterface(one, udp, os)),
    ...(udp.interfaces.length === 0 ? [NO_INTERFACE] : []),
    ...aboutLeftOut(facts),
  ];
}

function aboutLeftOut({ leftOut }: Pick<DiagnosisFacts, "leftOut">): Finding[] {
  return leftOut.map(({ name, address, why }) => ({
    severity: "info",
    subject: `interface ${name}`,
    message: `${address} is not used: ${why}`,
  }));
}

function aboutInterface(one: InterfaceReport, { port }: UdpReport, os: string): Finding[] {
  const { name, address, broadcast, sent, problem, own, heard, hosts, strangers } = one;
  const { sentAgoMs, heardAgoMs } = one;
  const subject = `interface ${name}`;
  const way = `from ${address} to ${broadcast}:${port}`;
  if (one.isDown) {
    return [{ severity: "info", subject, message: `${address} is not used: it is down` }];
  }
  if (problem !== undefined) {
    return [{
      severity: "error",
      subject,
      message: `${
        sent === 0 ? "no beacon has left" : "beacons no longer leave"
      } ${way}: ${problem}`,
      mend: os === "darwin" && !isLoopback(one)
        ? "allow it under System Settings, Privacy & Security, Local Network"
        : `look whether ${name} is up and has a route`,
    }];
  }
  if (sent < ENOUGH_BEACONS) return [];
  if (!isRecent(sentAgoMs)) {
    return [{
      severity: "warning",
      subject,
      message: `no beacon has left ${way} for ${seconds(sentAgoMs)} s`,
      mend: "look whether this machine has slept, or has too much to do",
    }];
  }
  if (!isRecent(one.ownAgoMs) && !isRecent(heardAgoMs)) {
    const since = own + heard === 0 ? "" : ` for ${LATELY_MS / 1000} s`;
    return isLoopback(one) ? [] : [{
      severity: "error",
      subject,
      message: `${sent} beacons have left ${way}, and not even this node's own have come back` +
        since,
      mend: `a firewall on this machine seems to drop what comes in: let UDP port ${port} through` +
        (os === "linux" ? ` (with ufw: ufw allow ${port}/udp)` : ""),
    }];
  }
  if (heard === 0 && strangers > 0) {
    return isLoopback(one) ? [] : [{
      severity: "info",
      subject,
      message: `${sent} beacons have left ${way}; no node of this network was heard, but ` +
        `${strangers} datagrams of others came`,
    }];
  }
  if (heard === 0) {
    return isLoopback(one) ? [] : [{
      severity: "warning",
      subject,
      message: `${sent} beacons have left ${way}, and nobody else was heard`,
      mend: "if other nodes run on that network, its access point may keep its clients apart " +
        "(guest network, AP or client isolation): switch that off, or name them with --peer",
    }];
  }
  const from = hosts.slice(-5).join(", ");
  if (!isRecent(heardAgoMs)) {
    return [{
      severity: "info",
      subject,
      message: `${sent} beacons have left ${way}; nobody else was heard for ` +
        `${seconds(heardAgoMs)} s, before that ${from}`,
    }];
  }
  return [{
    severity: "ok",
    subject,
    message: `${sent} beacons have left ${way}; ${heard} of others came, from ${from}`,
  }];
}

function isRecent(agoMs: number | undefined): boolean {
  return agoMs !== undefined && agoMs <= LATELY_MS;
}

function seconds(agoMs = 0): number {
  return Math.round(agoMs / 1000);
}

const DROPS: Record<DropReason, { severity: Severity; what: string; mend?: string }> = {
  malformed: { severity: "info", what: "are no beacons: another program uses this port, too" },
  rate: { severity: "warning", what: "came faster than a hundred a second from one host" },
  crowd: { severity: "warning", what: "are of more peers of other programs than are kept" },
  "foreign-network": {
    severity: "info",
    what: "are of networks with another name",
    mend: "give all nodes that belong together the same --name",
  },
  "not-allowed": {
    severity: "warning",
    what: "came from hosts that this node may not talk to",
    mend: "start it with --open, or with a wider range",
  },
};

function aboutDatagrams({ udp }: DiagnosisFacts): Finding[] {
  if (udp === undefined) return [];
  const found: Finding[] = [];
  for (const [reason, { count, host }] of Object.entries(udp.dropped)) {
    if (count === 0) continue;
    const { severity, what, mend } = DROPS[reason as DropReason];
    const message = `${count} datagrams on UDP port ${udp.port} ${what} (the last from ${host})`;
    found.push({ severity, subject: "beacons", message, ...(mend && { mend }) });
  }
  if (udp.elsewhere > 0) {
    found.push({
      severity: "info",
      subject: "beacons",
      message: `${udp.elsewhere} came from hosts on none of this machine's networks`,
      mend: "if they are on the same cable, compare the netmasks",
    });
  }
  return found;
}

/** Before this there was no such program: a Pi without a battery wakes in 1970. */
const EARLIEST = Date.UTC(2026, 0, 1);
/** Beyond this certificates and the order of writes may suffer. */
const MUCH_AHEAD_MS = 5_000;

function aboutClock(
  { wallTime, clocksAhead }: Pick<DiagnosisFacts, "wallTime" | "clocksAhead">,
): Finding[] {
  const found: Finding[] = [];
  const mend = "let the system keep its time (NTP)";
  if (wallTime < EARLIEST) {
    const message = `this machine's clock shows ${new Date(wallTime).toISOString()}`;
    found.push({ severity: "error", subject: "clock", message, mend });
  }
  for (const [nodeId, ahead] of clocksAhead) {
    if (Math.abs(ahead) < MUCH_AHEAD_MS) continue;
    const seconds = Math.round(Math.abs(ahead) / 1000);
    const message = `the clock of ${nodeId} is ${seconds} s ${ahead > 0 ? "ahead" : "behind"}`;
    found.push({ severity: "warning", subject: "clock", message, mend });
  }
  return found;
}

function aboutPeers({ status, udp, sightedAgo }: DiagnosisFacts): Finding[] {
  const found = Object.values(status.peers).flatMap((peer) =>
    aboutPeer(peer, udp !== undefined, sightedAgo.get(peer.nodeId))
  );
  for (const { address, via, nodeId, problem } of status.unreached) {
    if (problem === null) continue;
    found.push({
      // Not every device of a tailnet runs a node: a phone never does.
      severity: via === "tailscale" ? "info" : "warning",
      subject: nodeId === null ? `address ${address}` : `peer ${nodeId}`,
      message: `nobody is linked at ${address}, listed by ${via}: ${problem}`,
    });
  }
  for (const { nodeId, host } of status.nameConflicts) {
    found.push({
      severity: "error",
      subject: `peer ${nodeId}`,
      message: `a second node, at ${host}, calls itself ${nodeId} and was refused`,
      mend: "start it with another --node-id",
    });
  }
  return found;
}

function aboutPeer(peer: PeerStatus, hasUdp: boolean, sightedAgo: number | undefined): Finding[] {
  const { nodeId, state, address, latencyMs, failing, problem } = peer;
  const subject = `peer ${nodeId}`;
  if (state === "alive") {
    const wasDialled = peer.addresses.every(({ via }) => via === "link");
    if (hasUdp && wasDialled && peer.interface !== null && sightedAgo === undefined) {
      return [{
        severity: "info",
        subject,
        message: `it dialled this node, and none of its beacons has come through ${peer.interface}`,
        mend: "something between them drops broadcasts in this direction; the link works without",
      }];
    }
    const trip = latencyMs === null ? "" : `, ${Number(latencyMs.toPrecision(2))} ms away`;
    return [{ severity: "ok", subject, message: `linked at ${address}${trip}` }];
  }
  if (failing?.direction === "to") {
    return [{
      severity: "error",
      subject,
      message: `its beacons arrive, but dialling ${failing.address} fails: ${failing.reason}`,
      mend: `let TCP port ${failing.address.split(":").at(-1)} through the firewall of ${nodeId}`,
    }];
  }
  return [{
    severity: "warning",
    subject,
    message: `${state}, at ${address}: ${problem ?? "it does not answer"}`,
  }];
}

function aboutAsked({ asked, status }: DiagnosisFacts): Finding[] {
  if (asked === undefined) return [];
  const { nodeId, probes } = asked;
  const subject = `peer ${nodeId}`;
  const isListed = status.unreached.some((one) => one.nodeId === nodeId);
  if (status.peers[nodeId] === undefined && !isListed) {
    return [{
      severity: "error",
      subject,
      message: "nothing was ever heard of it",
      mend: "look whether it runs, with the same --name and --broadcast-port, and run doctor there",
    }];
  }
  return probes.map(({ address, latencyMs, problem }) =>
    latencyMs === null
      ? { severity: "warning", subject, message: `${address} does not answer: ${problem}` }
      : { severity: "ok", subject, message: `${address} answers in ${latencyMs.toFixed(1)} ms` }
  );
}
