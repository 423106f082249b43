/** What the doctor makes of what a node knows. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { DropReason, InterfaceReport, UdpReport } from "../../src/discovery/udp_report.ts";
import type { EngineStatus } from "../../src/engines/engine_watch.ts";
import { missingPermissions } from "../../src/network/missing_permissions.ts";
import { findings, hostFindings } from "../../src/network/diagnosis.ts";
import type { FrontReport } from "../../src/link/refusals.ts";
import type { DiagnosisFacts, Finding } from "../../src/network/diagnosis_facts.ts";
import type { NetworkStatus, PeerStatus, SharedStateStatus } from "../../src/network/status.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { hanzo } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

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
  isDown: false,
  strangers: 12,
  sentAgoMs: 500,
  ownAgoMs: 499,
  heardAgoMs: 700,
};
/** As after the start, when nothing has come yet. */
const SILENT = { own: 0, ownAgoMs: undefined, heard: 0, heardAgoMs: undefined, strangers: 0 };
/** Nobody but the node itself. */
const LONELY = { heard: 0, heardAgoMs: undefined, hosts: [], strangers: 0 };
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
    "foreign-key": NOTHING,
    sealed: NOTHING,
    plaintext: NOTHING,
    forged: NOTHING,
    relocated: NOTHING,
    replayed: NOTHING,
    "not-allowed": NOTHING,
  },
};
const STATUS = {
  address: "0.0.0.0:5681",
  peers: {},
  unreached: [],
  nameConflicts: [],
  refusedBy: [],
  sharedState: null,
  security: {
    mode: "keyed",
    verifiesPeers: true,
    keyTag: "0123456789abcdef",
    identity: "ab".repeat(32),
  },
} as unknown as NetworkStatus;
const NOBODY: FrontReport = {
  crowd: NOTHING,
  slow: NOTHING,
  stranger: NOTHING,
  "not-admitted": NOTHING,
  flood: NOTHING,
};
const HEALTHY: DiagnosisFacts = {
  status: STATUS,
  os: "linux",
  wallTime: Date.UTC(2026, 10, 22),
  leavesMachine: true,
  refused: undefined,
  trustProblems: [],
  open: false,
  interfaces: [{ name: "eth0", address: "192.168.1.10", netmask: "255.255.255.0" }],
  portWasTaken: false,
  udp: UDP,
  leftOut: [],
  tailscaleProblem: undefined,
  clocksAhead: new Map(),
  sightedAgo: new Map(),
  missingPermissions: [],
  engines: [],
  asked: undefined,
};
const PEER = {
  nodeId: "gpu",
  state: "alive",
  address: "192.168.1.11:5681",
  interface: "eth0",
  addresses: [{ via: "udp" }],
  latencyMs: 0.42,
  evicted: false,
  problem: null,
  failing: null,
} as unknown as PeerStatus;

const withInterface = (change: Partial<InterfaceReport>) => ({
  udp: { ...UDP, interfaces: [{ ...ETHERNET, ...change }] },
});
const withPeer = (change: Partial<PeerStatus>) => ({
  status: { ...STATUS, peers: { gpu: { ...PEER, ...change } } },
});
const withDropped = (reason: DropReason) => ({
  udp: { ...UDP, dropped: { ...UDP.dropped, [reason]: { count: 7, host: "192.168.1.66" } } },
});
const failing = {
  direction: "to",
  address: "192.168.1.11:5681",
  reason: "no answer",
  unanswered: true,
} as const;
const withOwnTls = (verifiesPeers = true) => ({
  status: {
    ...STATUS,
    security: { mode: "tls" as const, verifiesPeers, keyTag: null, identity: "ab".repeat(32) },
  },
});

const OPEN = { mode: "open", verifiesPeers: false, keyTag: null, identity: null } as const;

/** What is wrong, what is said about it, and what helps. */
const STATE: SharedStateStatus = {
  path: "/data/nodes/a/state.db",
  keys: 3,
  bytes: 900,
  maxBytes: 1_000,
  differing: [],
  lastCheckpoint: null,
  checkpointProblem: null,
  damagedPath: null,
};
const withState = (change: Partial<SharedStateStatus>) => ({
  status: { ...STATUS, sharedState: { ...STATE, bytes: 899, ...change } },
});
const CASES: [what: string, facts: Partial<DiagnosisFacts>, finding: Partial<Finding>][] = [
  ["beacons that do not leave", withInterface({ sent: 0, failed: 9, problem: "unreachable" }), {
    severity: "error",
    subject: "interface eth0",
    message: "no beacon has left from 192.168.1.10 to 192.168.1.255:5678: unreachable",
    mend: "look whether eth0 is up and has a route",
  }],
  ["a state in memory", withState({ path: null }), {
    severity: "info",
    message: "3 keys, in memory: what only this node has ends with it",
    mend: "a data directory",
  }],
  ["a state that is nearly full", withState({ bytes: 900 }), {
    severity: "warning",
    message: "it takes 900 bytes of at most 1000: soon nothing can be added",
    mend: "delete what nobody needs any more",
  }],
  ["a state that is full", withState({ bytes: 1_000 }), {
    severity: "error",
    message: "it takes 1000 bytes of at most 1000: nothing can be added",
  }],
  ["a state that was damaged", withState({ damagedPath: "/data/state.db.damaged" }), {
    severity: "warning",
    message: "its file was damaged, and put aside as /data/state.db.damaged",
    mend: "look at a checkpoint for the rest",
  }],
  ["checkpoints that cannot be made", withState({ checkpointProblem: "the disk is full" }), {
    severity: "warning",
    message: "no checkpoint by interval could be made: the disk is full",
  }],
  ["states that do not become alike", withState({ differing: ["b", "c"] }), {
    severity: "warning",
    message: "not like that of b, c for more than half a minute",
  }],
  [
    "beacons that do not leave a Mac",
    { os: "darwin", ...withInterface({ sent: 0, failed: 9, problem: "no route to host" }) },
    {
      severity: "error",
      mend: "allow it under System Settings, Privacy & Security, Local Network",
    },
  ],
  ["a firewall that drops what comes in", withInterface(SILENT), {
    severity: "error",
    message: "not even this node's own have come back",
    mend: "let UDP port 5678 through (with ufw: ufw allow 5678/udp)",
  }],
  [
    "beacons that no longer leave",
    withInterface({ problem: "no buffer space", sentAgoMs: 60_000 }),
    {
      severity: "error",
      message: "beacons no longer leave from 192.168.1.10 to 192.168.1.255:5678: no buffer space",
    },
  ],
  ["beacons that are no longer sent", withInterface({ sentAgoMs: 30_000 }), {
    severity: "warning",
    message: "no beacon has left from 192.168.1.10 to 192.168.1.255:5678 for 30 s",
  }],
  [
    "a firewall that was raised since",
    withInterface({ ownAgoMs: 11_000, heardAgoMs: 12_000 }),
    {
      severity: "error",
      message: "own have come back for 10 s",
      mend: "let UDP port 5678 through",
    },
  ],
  ["that the others have fallen silent", withInterface({ heardAgoMs: 45_000 }), {
    severity: "info",
    message: "nobody else was heard for 45 s, before that 192.168.1.11",
  }],
  [
    "an interface that is down",
    withInterface({ sent: 0, failed: 9, problem: "x", isDown: true }),
    { severity: "info", message: "192.168.1.10 is not used: it is down" },
  ],
  [
    "others than nodes where nobody of this network is",
    withInterface({ ...LONELY, strangers: 7 }),
    {
      severity: "info",
      message: "no node of this network was heard, but 7 datagrams of others came",
    },
  ],
  ["a range in which no interface is", { open: "10.1.0.0/16" }, {
    severity: "warning",
    subject: "reach",
    message: "no interface of this machine is in 10.1.0.0/16",
    mend: "--peer",
  }],
  ["clients that are kept apart", withInterface(LONELY), {
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
  ["another network's name", withDropped("foreign-network"), {
    severity: "info",
    mend: "the same --name",
  }],
  ["another network's key", withDropped("foreign-key"), {
    severity: "info",
    message: "7 datagrams on UDP port 5678 are of another network: sealed with a key that this " +
      "node does not have (the last from 192.168.1.66)",
    mend:
      "if that is your device, let it join: hanzo-network invite here, hanzo-network join there",
  }],
  ["a network with a key where this node is open", withDropped("sealed"), {
    severity: "info",
    message: "this node has none: it runs with --open",
    mend: "start this node without --open and let it join",
  }],
  ["a node that is open where this one has a key", withDropped("plaintext"), {
    severity: "info",
    message: "for this node has a key: whoever sent them runs with --open",
    mend: "start it without --open and let it join",
  }],
  ["beacons that are made up", withDropped("forged"), {
    severity: "warning",
    message: "were not sealed with its key: somebody makes them up; none was believed or answered",
    mend: "look what runs there",
  }],
  ["beacons that are repeated from elsewhere", withDropped("relocated"), {
    severity: "warning",
    message: "somebody repeats beacons from elsewhere, or a router translates addresses",
    mend: "name it with --peer",
  }],
  ["beacons that come twice", withDropped("replayed"), {
    severity: "info",
    message: "they came by two ways, or somebody repeats them",
  }],
  ["a flood", withDropped("rate"), {
    severity: "warning",
    message: "came faster than they are looked at",
    mend: "nodes that are known are heard as before",
  }],
  [
    "a node that keeps to its machine",
    { leavesMachine: false },
    { severity: "info", mend: "start it without --network-interface lo" },
  ],
  [
    "a node that is open",
    {
      status: { ...STATUS, security: OPEN },
      leavesMachine: true,
      open: true,
    },
    { severity: "warning", message: "nothing is encrypted", mend: "start it without --open" },
  ],
  [
    "connections of strangers",
    { refused: { ...NOBODY, stranger: { count: 3, host: "192.168.1.66" } } },
    {
      severity: "info",
      message: "3 connections showed no certificate of this network, the last from 192.168.1.66",
      mend: "hanzo-network invite",
    },
  ],
  [
    "a connection under a key that counts no more",
    { refused: { ...NOBODY, "not-admitted": { count: 1, host: "192.168.1.66" } } },
    {
      severity: "info",
      message: "a connection came with a key that does not count any more",
      mend: "an evicted node tries that, and nothing needs doing",
    },
  ],
  ["that nobody is asked for a certificate", withOwnTls(false), {
    severity: "warning",
    subject: "security",
    message: "this node asks nobody for a certificate, and anybody near can pretend to be a node",
    mend: "start it without --verify-peers=false",
  }],
  [
    "a certificate that has expired",
    {
      ...withOwnTls(),
      trustProblems: [{ severity: "error", message: "it has expired", mend: "renew it" }],
    },
    { severity: "error", subject: "certificates", message: "it has expired", mend: "renew it" },
  ],
  [
    "connections without a certificate of the operator's authority",
    { ...withOwnTls(), refused: { ...NOBODY, stranger: { count: 3, host: "192.168.1.66" } } },
    {
      severity: "info",
      message: "3 connections showed no certificate that an authority in --tls-ca has issued",
      mend: "both certificates must be issued by an authority in the other's --tls-ca",
    },
  ],
  [
    "connections without TLS where nobody is asked for a certificate",
    { ...withOwnTls(false), refused: { ...NOBODY, stranger: { count: 1, host: "192.168.1.66" } } },
    { severity: "warning", subject: "security" },
  ],
  ["a network with a key where this node has own certificates", {
    ...withOwnTls(),
    ...withDropped("sealed"),
  }, { severity: "info", mend: "start both with certificates of your own, or both without" }],
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
    "a peer that answers and refuses a link",
    withPeer({
      state: "discovered",
      failing: { ...failing, reason: "Another node is called x. Start it so.", unanswered: false },
    }),
    { severity: "error", message: "dialling 192.168.1.11:5681 fails: Another node is called x" },
  ],
  [
    "a peer that was evicted",
    withPeer({ state: "discovered", evicted: true, problem: "it was evicted" }),
    { severity: "info", subject: "peer gpu", message: "it was evicted" },
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
  ["a device of the tailnet that runs no node", {
    status: {
      ...STATUS,
      unreached: [{ address: "phone:5681", via: "tailscale", nodeId: null, problem: "refused" }],
    },
  }, { severity: "info", message: "nobody is linked at phone:5681, listed by tailscale" }],
  ["two nodes of one label", {
    status: { ...STATUS, nameConflicts: [{ nodeId: "gpu", host: "192.168.1.9", isOlder: false }] },
  }, { severity: "error", mend: "start it with another --node-id" }],
  ["that this node is the later one", {
    status: { ...STATUS, nameConflicts: [{ nodeId: "gpu", host: "192.168.1.9", isOlder: true }] },
  }, { severity: "error", mend: "start this one with another --node-id" }],
  ["a clock of 1970", { wallTime: 60_000 }, { severity: "error", subject: "clock" }],
  ["a peer's wrong clock", { clocksAhead: new Map([["pi", -90_000], ["gpu", 900]]) }, {
    severity: "warning",
    message: "the clock of pi is 90 s behind",
  }],
  ["a permission", { missingPermissions: [{ flag: "--allow-run", without: "x" }] }, {
    severity: "warning",
    mend: "start it with --allow-run",
  }],
  ["an engine that is not ready", {
    engines: [engine({ kind: "ollama", state: "failing", note: "it loads its model" })],
  }, { severity: "warning", message: "it loads its model" }],
  ["a web server on an engine's port", {
    engines: [
      engine({ kind: "vllm" }),
      engine({ state: "foreign", url: "http://127.0.0.1:8080", note: "404" }),
    ],
  }, {
    severity: "info",
    message: "what answers on this port is no engine, and is left alone: 404",
  }],
  ["an engine that was named and is not there", {
    engines: [engine({ kind: "vllm" }), engine({ state: "absent", configured: true })],
  }, { severity: "warning", mend: "start it, or leave out its --engine" }],
  ["an engine that wants a key", {
    engines: [engine({ kind: "vllm" }), engine({ state: "locked", note: "it wants a key" })],
  }, { severity: "info", message: "it wants a key" }],
  ["no engine at all", { engines: [engine({ state: "absent" })] }, {
    severity: "info",
    message: "this device has no engine of models: none answers on its ports 11434",
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

Deno.test("the doctor finds an engine that answers", () => {
  const found = findings({
    ...HEALTHY,
    engines: [
      engine({ kind: "ollama", version: "1", models: 2 }),
      engine({ kind: "jan", models: 1 }),
    ],
  }).filter(({ subject }) => subject.startsWith("engine"));
  assertEquals(found.map(({ severity, message }) => [severity, message]), [
    ["ok", "Ollama 1 has 2 models"],
    ["ok", "Jan has 1 model"],
  ]);
});

function engine(change: Partial<EngineStatus>): EngineStatus {
  return {
    url: "http://127.0.0.1:11434",
    kind: null,
    state: "found",
    version: null,
    models: 0,
    configured: false,
    note: null,
    ...change,
  };
}

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

Deno.test("a firewall is suspected only where there was no answer", () => {
  for (const unanswered of [true, false]) {
    const facts = withPeer({ state: "discovered", failing: { ...failing, unanswered } });
    const found = findings({ ...HEALTHY, ...facts }).find(({ subject }) => subject === "peer gpu");
    assertEquals(found?.mend?.includes("firewall") ?? false, unanswered);
  }
});

Deno.test("where an authority of the operator's decides the doctor advises nobody to invite", () => {
  const stranger = { count: 1, host: "192.168.1.66" };
  for (const verifiesPeers of [true, false]) {
    const found = findings({
      ...HEALTHY,
      ...withOwnTls(verifiesPeers),
      ...withDropped("sealed"),
      refused: { ...NOBODY, stranger },
    });
    const text = JSON.stringify(found);
    assertEquals(/hanzo-network (invite|join)/.test(text), false, text);
    assertEquals(text.includes("authenticated by your own certificates"), verifiesPeers);
  }
});

Deno.test("while others may refuse what this node shows, the doctor does not say that all is well", () => {
  const problem = { severity: "warning", message: "m", mend: "x" } as const;
  const found = findings({ ...HEALTHY, ...withOwnTls(), trustProblems: [problem] });
  assertEquals(found.filter(({ subject }) => subject === "security"), []);
});

Deno.test("of a healthy node there is nothing to say but that it is well", () => {
  const facts = { ...HEALTHY, ...withPeer({}), sightedAgo: new Map([["gpu", 1_000]]) };
  assertEquals(findings(facts).map(({ severity, subject }) => `${severity} ${subject}`), [
    "ok links",
    "ok security",
    "ok interface eth0",
    "ok peer gpu",
  ]);
});

Deno.test("of a range that holds an interface, or is a part of its network, nothing is said", () => {
  for (const open of ["192.168.0.0/16", "192.168.1.0/24", "192.168.1.200/32"]) {
    const found = findings({ ...HEALTHY, open }).filter(({ severity }) => severity !== "ok");
    assertEquals(found, [], open);
  }
});

Deno.test("where no node runs the doctor says which interfaces one would use, and what it lacks", () => {
  const [ethernet] = HEALTHY.interfaces;
  const docker = { name: "docker0", address: "172.17.0.1", netmask: "255.255.0.0" };
  const facts = {
    leavesMachine: true,
    open: true,
    interfaces: [docker, ethernet],
    leftOut: [{ name: "docker0", address: "172.17.0.1", why: "it leads to containers" }],
    missingPermissions: [{ flag: "--allow-run", without: "x" }],
    broadcastPort: 5_999,
    wallTime: HEALTHY.wallTime,
  };
  const found = hostFindings(facts);
  assertEquals(
    found.map(({ severity, subject, message }) => `${severity} ${subject}: ${message}`),
    [
      "warning permissions: --allow-run is not granted: x",
      "info interface docker0: 172.17.0.1 is not used: it leads to containers",
      "ok interface eth0: 192.168.1.10 would be used, with beacons to 192.168.1.255:5999",
    ],
  );
  const [none] = hostFindings({ ...facts, interfaces: [] });
  assertEquals([none.severity, none.subject], ["error", "interfaces"]);
});

Deno.test("without a node the doctor looks at the port and the interfaces that one would have", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  await withTempDir(async (directory) => {
    const { stdout, stderr } = await hanzo(["doctor", `--data-dir=${directory}`, "--json"], {
      env: { HANZO_NETWORK_BROADCAST_PORT: `${port}`, HANZO_NETWORK_OPEN: "10.255.254.0/24" },
    });
    const found: Finding[] = JSON.parse(stdout || stderr);
    const lines = found.map(({ severity, subject, message }) =>
      `${severity} ${subject}: ${message}`
    );
    assertStringIncludes(lines[0], "error node: none runs");
    assertStringIncludes(lines[1], `error beacons: Cannot listen for beacons on 0.0.0.0:${port}`);
    assertStringIncludes(lines.join("\n"), "no interface of this machine is in 10.255.254.0/24");
    assertStringIncludes(lines.join("\n"), `beacons to 127.255.255.255:${port}`);
  }).finally(() => socket.close());
});

Deno.test({
  name: "permissions are asked after one by one, so that those that are used suffice",
  permissions: {
    net: true,
    run: true,
    sys: ["loadavg", "networkInterfaces", "systemMemoryInfo"],
  },
  fn() {
    const missing = missingPermissions({ lan: true, dataDirectory: "/data" });
    assertEquals(missing.map(({ flag }) => flag), [
      "--allow-read=/data --allow-write=/data",
      "--allow-sys=hostname",
      "--allow-sys=cpus",
      "--allow-sys=osUptime",
      `--allow-read=${new URL("../../src/", import.meta.url).pathname}`,
    ]);
  },
});

Deno.test({
  name: "a node that keeps to its machine needs no more than the loopback",
  permissions: { net: ["127.0.0.0/8"] },
  fn() {
    const flags = (lan: boolean) =>
      missingPermissions({ lan, dataDirectory: undefined }).map(({ flag }) => flag);
    assertEquals([true, false].map((lan) => flags(lan).includes("--allow-net")), [true, false]);
    assertEquals(flags(false).filter((flag) => flag.startsWith("--allow-net")), []);
  },
});

Deno.test("a state that is well is told of, and before the start nothing is", () => {
  const about = (facts: Partial<DiagnosisFacts>) =>
    findings({ ...HEALTHY, ...facts }).filter(({ subject }) => subject === "shared state");
  const message = "3 keys in /data/nodes/a/state.db";
  assertEquals(about(withState({})), [{ severity: "ok", subject: "shared state", message }]);
  assertEquals(about({}), []);
});

Deno.test("a node gathers the facts itself: who is heard, who is dialled, and who is not", async () => {
  await using fleet = new MemoryFleet(411);
  const a = await fleet.start({ nodeId: "a", peers: ["10.0.0.99:5681"] });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(3_000);
  const asked = fleet.wait(a.network.diagnose("b"));
  const found = (await asked).map(({ severity, subject }) => `${severity} ${subject}`);
  assertEquals(found.filter((line) => !line.includes("permissions")), [
    "warning security",
    "warning address 10.0.0.99:5681",
    "info shared state",
    "ok links",
    "ok interface mem0",
    "ok peer b",
    "ok peer b",
  ]);
  assertEquals(b.network.getNetworkStatus().peerCount, 1);
});
