/** What the fate of beacons says of a machine, its interfaces and its networks. */

import type { DropReason, InterfaceReport, UdpReport } from "../discovery/udp_report.ts";
import { isLoopback } from "../transport/interfaces.ts";
import type { DiagnosisFacts, Finding, Severity } from "./diagnosis_facts.ts";

/** Beacons after which their fate says something: the burst of the start. */
const ENOUGH_BEACONS = 3;

/** A beacon goes every 2.5 s: of four that were lost one may be chance, all are not. */
const LATELY_MS = 10_000;

/** There is nothing to send beacons on. */
export const NO_INTERFACE: Finding = {
  severity: "error",
  subject: "interfaces",
  message: "there is none on which to look for peers",
  mend: "connect this machine to a network, or name an interface with --network-interface",
};

/** What came of beacons on each interface, and which are not used. */
export function aboutInterfaces(facts: DiagnosisFacts): Finding[] {
  const { udp, os } = facts;
  if (udp === undefined) return [];
  return [
    ...udp.interfaces.flatMap((one) => aboutInterface(one, udp, os)),
    ...(udp.interfaces.length === 0 ? [NO_INTERFACE] : []),
    ...aboutLeftOut(facts),
  ];
}

/** Which interfaces are not used, and why. */
export function aboutLeftOut({ leftOut }: Pick<DiagnosisFacts, "leftOut">): Finding[] {
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
  rate: {
    severity: "warning",
    what: "came faster than they are looked at: a hundred a second from one host, four thousand " +
      "from all that this node does not know",
    mend: "look what runs there; nodes that are known are heard as before",
  },
  crowd: { severity: "warning", what: "are of more peers of other programs than are kept" },
  "foreign-network": {
    severity: "info",
    what: "are of networks with another name",
    mend: "give all nodes that belong together the same --name",
  },
  "foreign-key": {
    severity: "info",
    what: "are of another network: sealed with a key that this node does not have",
    mend:
      "if that is your device, let it join: hanzo-network invite here, hanzo-network join there",
  },
  sealed: {
    severity: "info",
    what: "are of a network with a key, and this node has none: it runs with --open, or with " +
      "certificates of its own",
    mend: "if that is your device, start this node without --open and let it join: " +
      "hanzo-network invite there, hanzo-network join here",
  },
  plaintext: {
    severity: "info",
    what: "are in the clear and were not read, for this node has a key: whoever sent them runs " +
      "with --open, with certificates of its own, or is another program",
    mend: "if that is your device, start it without --open and let it join: " +
      "hanzo-network invite here, hanzo-network join there",
  },
  forged: {
    severity: "warning",
    what: "claim to be of this network and were not sealed with its key: somebody makes them up; " +
      "none was believed or answered",
    mend: "look what runs there; if many hosts send them, whoever does is on the same network",
  },
  relocated: {
    severity: "warning",
    what: "were sealed for another address than the one they came from: somebody repeats beacons " +
      "from elsewhere, or a router translates addresses",
    mend:
      "if that is your device behind a router, name it with --peer; if not, look what runs there",
  },
  replayed: {
    severity: "info",
    what:
      "had been read before: they came by two ways, or somebody repeats them; none counts twice",
  },
  "not-allowed": {
    severity: "warning",
    what: "came from hosts that this node may not talk to",
    mend: "start it with --open, or with a wider range",
  },
};

/** What came in and was not used. */
export function aboutDatagrams({ udp, status }: DiagnosisFacts): Finding[] {
  if (udp === undefined) return [];
  const found: Finding[] = [];
  for (const [reason, { count, host }] of Object.entries(udp.dropped)) {
    if (count === 0) continue;
    const { severity, what } = DROPS[reason as DropReason];
    const mend = status.security.mode === "tls" && reason === "sealed"
      // Nobody can be invited, nor join.
      ? "if that is your device, start both with certificates of your own, or both without"
      : DROPS[reason as DropReason].mend;
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
