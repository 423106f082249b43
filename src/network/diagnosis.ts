/**
 * Why a peer is not seen: what a node knows of its sockets, its interfaces and its peers, read by
 * rules that say what it means and what helps. Pure: the facts are gathered elsewhere.
 */

import {
  broadcastAddress,
  interfaceTo,
  isLoopback,
  type NetworkInterface,
} from "../transport/interfaces.ts";
import { aboutDatagrams, aboutInterfaces, aboutLeftOut, NO_INTERFACE } from "./beacon_findings.ts";
import type { DiagnosisFacts, Finding, Severity } from "./diagnosis_facts.ts";
import { aboutEngines } from "./engine_findings.ts";
import { aboutSecurity } from "./security_findings.ts";
import { parseRange } from "./reach.ts";
import { aboutState } from "./state_findings.ts";
import type { PeerStatus } from "./status.ts";

/** What is found, the worst first. */
export function findings(facts: DiagnosisFacts): Finding[] {
  return worstFirst([
    ...aboutLinks(facts),
    ...aboutSecurity(facts),
    ...aboutReach(facts),
    ...aboutPermissions(facts),
    ...aboutInterfaces(facts),
    ...aboutDatagrams(facts),
    ...aboutClock(facts),
    ...aboutState(facts.status.sharedState),
    ...aboutEngines(facts.engines),
    ...aboutPeers(facts),
    ...aboutAsked(facts),
  ]);
}

/** What the rules read where no node runs. */
export type HostFacts =
  & Pick<
    DiagnosisFacts,
    "leavesMachine" | "open" | "interfaces" | "leftOut" | "missingPermissions" | "wallTime"
  >
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
  const { status, leavesMachine, portWasTaken, tailscaleProblem } = facts;
  const found: Finding[] = [{
    severity: portWasTaken ? "info" : "ok",
    subject: "links",
    message: `links are accepted at ${status.address}` +
      (portWasTaken ? ": the usual port was taken" : ""),
    ...(portWasTaken && leavesMachine && { mend: "let that port through the firewall, too" }),
  }];
  if (tailscaleProblem !== undefined) {
    found.push({ severity: "warning", subject: "tailscale", message: tailscaleProblem });
  }
  return found;
}

function aboutReach(
  { leavesMachine, open, interfaces }: Pick<
    DiagnosisFacts,
    "leavesMachine" | "open" | "interfaces"
  >,
): Finding[] {
  const subject = "reach";
  if (!leavesMachine) {
    return [{
      severity: "info",
      subject,
      message: "this node keeps to its own machine; other devices can neither see nor reach it",
      mend: "start it without --network-interface lo",
    }];
  }
  if (open === false || open === true || leadsTo(open, interfaces)) return [];
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
  const isInRange = parseRange(range);
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
  for (const { nodeId, host, isOlder } of status.nameConflicts) {
    found.push({
      severity: "error",
      subject: `peer ${nodeId}`,
      message: isOlder
        ? `another node, at ${host}, has had this label for longer; this one is refused by others`
        : `a second node, at ${host}, calls itself ${nodeId} and was refused`,
      mend: `start ${isOlder ? "this one" : "it"} with another --node-id`,
    });
  }
  return found;
}

function aboutPeer(peer: PeerStatus, hasUdp: boolean, sightedAgo: number | undefined): Finding[] {
  const { nodeId, state, address, latencyMs, failing, problem, evicted } = peer;
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
  if (evicted) return [{ severity: "info", subject, message: problem ?? "it was evicted" }];
  if (failing?.direction === "to") {
    const port = failing.address.split(":").at(-1);
    return [{
      severity: "error",
      subject,
      message: `its beacons arrive, but dialling ${failing.address} fails: ${failing.reason}`,
      // Where something has answered, no firewall is in the way, and the reason says what helps.
      ...(failing.unanswered && { mend: `let TCP port ${port} through the firewall of ${nodeId}` }),
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
