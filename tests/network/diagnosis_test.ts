/** What the doctor makes of what a node knows. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { InterfaceReport, UdpReport } from "../../src/discovery/udp_report.ts";
import { type DiagnosisFacts, type Finding, findings } from "../../src/network/diagnosis.ts";
import type { NetworkStatus, PeerStatus } from "../../src/network/status.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";

const ETHERNET: InterfaceReport = {
  name: "eth0",
  address: "192.168.1.10",
  broadcast: "192.168.1.255",
  sent: 20,
  failed: 0,
  problem: undefined,
  own: 20,
  heard: 12,
  hosts: ["192.168.1.11"],
};
const NOTHING = { count: 0, host: "" };
const UDP: UdpReport = {
  port: 5678,
  transport: "memory",
  interfaces: [ETHERNET],
  elsewhere: 0,
  dropped: {
    malformed: NOTHING,
    rate: NOTHING,
    crowd: NOTHING,
    "foreign-network": NOTHING,
    "not-allowed": NOTHING,
  },
};
const STATUS = {
  address: "0.0.0.0:5681",
  peers: {},
  unreached: [],
  nameConflicts: [],
} as unknown as NetworkStatus;
const HEALTHY: DiagnosisFacts = {
  status: STATUS,
  os: "linux",
  wallTime: Date.UTC(2026, 10, 22),
  isOpen: true,
  portWasTaken: false,
  udp: UDP,
  leftOut: [],
  tailscaleProblem: undefined,
  clocksAhead: new Map(),
  sightedAgo: new Map(),
  missingPermissions: [],
  asked: undefined,
};
const PEER = {
  nodeId: "gpu",
  state: "alive",
  address: "192.168.1.11:5681",
  interface: "eth0",
  addresses: [{ via: "udp" }],
  latencyMs: 0.42,
  problem: null,
  failing: null,
} as unknown as PeerStatus;

const withInterface = (change: Partial<InterfaceReport>) => ({
  udp: { ...UDP, interfaces: [{ ...ETHERNET, ...change }] },
});
const withPeer = (change: Partial<PeerStatus>) => ({
  status: { ...STATUS, peers: { gpu: { ...PEER, ...change } } },
});
const failing = { direction: "to", address: "192.168.1.11:5681", reason: "no answer" } as const;

/** What is wrong, what is said about it, and what helps. */
const CASES: [what: string, facts: Partial<DiagnosisFacts>, finding: Partial<Finding>][] = [
  ["beacons that do not leave", withInterface({ sent: 0, failed: 9, problem: "unreachable" }), {
    severity: "error",
    subject: "interface eth0",
    message: "no beacon has left from 192.168.1.10 to 192.168.1.255:5678: unreachable",
    mend: "look whether eth0 is up and has a route",
  }],
  [
    "beacons that do not leave a Mac",
    { os: "darwin", ...withInterface({ sent: 0, failed: 9, problem: "no route to host" }) },
    {
      severity: "error",
      mend: "allow it under System Settings, Privacy & Security, Local Network",
    },
  ],
  ["a firewall that drops what comes in", withInterface({ own: 0, heard: 0 }), {
    severity: "error",
    message: "not even this node's own have come back",
    mend: "let UDP port 5678 through (with ufw: ufw allow 5678/udp)",
  }],
  ["clients that are kept apart", withInterface({ heard: 0, hosts: [] }), {
    severity: "warning",
    message: "nobody else was heard",
    mend: "AP or client isolation",
  }],
  ["beacons from a host that is not allowed", {
    udp: { ...UDP, dropped: { ...UDP.dropped, "not-allowed": { count: 3, host: "8.8.8.8" } } },
  }, {
    severity: "warning",
    message: "3 datagrams on UDP port 5678 came from hosts that this node may not talk to " +
      "(the last from 8.8.8.8)",
    mend: "--open",
  }],
  ["another network's name", {
    udp: { ...UDP, dropped: { ...UDP.dropped, "foreign-network": { count: 1, host: "x" } } },
  }, { severity: "info", mend: "the same --name" }],
  ["a node that keeps to its machine", { isOpen: false }, { severity: "info", mend: "--open" }],
  ["a port that was taken", { portWasTaken: true }, {
    severity: "info",
    message: "the usual port was taken",
    mend: "let that port through the firewall, too",
  }],
  [
    "a peer whose beacons arrive and that cannot be dialled",
    withPeer({
      state: "discovered",
      failing,
    }),
    {
      severity: "error",
      subject: "peer gpu",
      message: "its beacons arrive, but dialling 192.168.1.11:5681 fails: no answer",
      mend: "let TCP port 5681 through the firewall of gpu",
    },
  ],
  [
    "a peer whose beacons do not arrive",
    withPeer({ addresses: [{ via: "link" }] as PeerStatus["addresses"] }),
    { severity: "info", message: "none of its beacons has come through eth0" },
  ],
  ["a suspect", withPeer({ state: "suspect", problem: "it does not answer" }), {
    severity: "warning",
    message: "suspect, at 192.168.1.11:5681: it does not answer",
  }],
  ["a listed address that does not answer", {
    status: {
      ...STATUS,
      unreached: [{ address: "nas:5681", via: "manual", nodeId: null, problem: "unknown name" }],
    },
  }, { severity: "warning", message: "nobody is linked at nas:5681, listed by manual: unknown" }],
  ["two nodes of one label", {
    status: { ...STATUS, nameConflicts: [{ nodeId: "gpu", host: "192.168.1.9" }] },
  }, { severity: "error", mend: "start it with another --node-id" }],
  ["a clock of 1970", { wallTime: 60_000 }, { severity: "error", subject: "clock" }],
  ["a peer's wrong clock", { clocksAhead: new Map([["pi", -90_000], ["gpu", 900]]) }, {
    severity: "warning",
    message: "the clock of pi is 90 s behind",
  }],
  ["a permission", { missingPermissions: [{ flag: "--allow-run", without: "x" }] }, {
    severity: "warning",
    mend: "start it with --allow-run",
  }],
  ["a peer of which nothing was heard", { asked: { nodeId: "tv", probes: [] } }, {
    severity: "error",
    message: "nothing was ever heard of it",
  }],
  [
    "an address of a peer that is not reached",
    {
      ...withPeer({}),
      asked: {
        nodeId: "gpu",
        probes: [{ address: "10.0.0.1:5681", latencyMs: null, problem: "no answer" }],
      },
    },
    { severity: "warning", message: "10.0.0.1:5681 does not answer: no answer" },
  ],
];

for (const [what, facts, expected] of CASES) {
  Deno.test(`the doctor finds ${what}`, () => {
    const sightedAgo = what.includes("do not arrive") ? new Map() : new Map([["gpu", 1_000]]);
    const [found] = findings({ ...HEALTHY, sightedAgo, ...facts })
      .filter(({ severity }) => severity !== "ok");
    assertEquals(found?.severity, expected.severity);
    assertStringIncludes(found.subject, expected.subject ?? "");
    assertStringIncludes(found.message, expected.message ?? "");
    assertStringIncludes(found.mend ?? "", expected.mend ?? "");
  });
}

Deno.test("of a healthy node there is nothing to say but that it is well", () => {
  const facts = { ...HEALTHY, ...withPeer({}), sightedAgo: new Map([["gpu", 1_000]]) };
  assertEquals(findings(facts).map(({ severity, subject }) => `${severity} ${subject}`), [
    "ok links",
    "ok interface eth0",
    "ok peer gpu",
  ]);
});

Deno.test("a node gathers the facts itself: who is heard, who is dialled, and who is not", async () => {
  await using fleet = new MemoryFleet(411);
  const a = await fleet.start({ nodeId: "a", peers: ["10.0.0.99:5681"] });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(3_000);
  const asked = fleet.wait(a.network.diagnose("b"));
  const found = (await asked).map(({ severity, subject }) => `${severity} ${subject}`);
  assertEquals(found.filter((line) => !line.includes("permissions")), [
    "warning address 10.0.0.99:5681",
    "ok links",
    "ok interface mem0",
    "ok peer b",
    "ok peer b",
  ]);
  assertEquals(b.network.getNetworkStatus().peerCount, 1);
});
