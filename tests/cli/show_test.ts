/** Figures, devices and networks as people read them. */

import { assert, assertEquals } from "@std/assert";
import {
  peersReport,
  plural,
  showGigabytes,
  showMilliseconds,
  showTflops,
  statusLine,
  statusReport,
  statusTable,
} from "../../src/cli/show.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { displayWidth } from "../../src/cli/width.ts";
import { type DeviceCapabilities, UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import type { NetworkStatus, PeerStatus, SharedStateStatus } from "../../src/network/status.ts";

function flops(fp32: number | null, fp16: number | null): DeviceCapabilities {
  return { ...UNKNOWN_DEVICE, flops: { fp32, fp16, int8: null } };
}

/** A terminal of that width that shows no colours. */
function terminalOf(columns: number): Terminal {
  const terminal = new Terminal({ json: false, colours: false });
  Object.defineProperty(terminal, "columns", { value: columns });
  return terminal;
}

const STATUS: NetworkStatus = {
  name: "home",
  nodeId: "laptop",
  state: "running",
  version: "0.1.0",
  security: {
    mode: "keyed",
    verifiesPeers: true,
    keyTag: "0123456789abcdef",
    identity: "ab".repeat(32),
  },
  address: "127.0.0.1:5681",
  peerCount: 1,
  agentCount: 2,
  activeTasks: 1,
  queuedTasks: 2,
  slots: 4,
  capabilities: { ...flops(null, 7.1), chip: "M3 Pro", memory: 18_432 },
  agents: [],
  models: [],
  tasks: [],
  recentTasks: [],
  sharedState: null,
  peers: {},
  unreached: [],
  nameConflicts: [],
  refusedBy: [],
};

function peerOf(nodeId: string, change: Partial<PeerStatus> = {}): PeerStatus {
  return {
    nodeId,
    state: "alive",
    identity: null,
    healthy: true,
    address: "192.168.1.7:5681",
    via: "udp",
    capabilities: null,
    agents: ["calculator"],
    models: [],
    currentLoad: 0,
    latencyMs: null,
    lastSeen: 0,
    problem: null,
    kind: "node",
    interface: "en0",
    addresses: [],
    evicted: false,
    failing: null,
    ...change,
  };
}

Deno.test("figures are rounded to what matters, and a dash stands for what is not known", () => {
  assertEquals(showTflops(flops(35.58, 71.1632)), "71.16");
  assertEquals(showTflops(flops(35.58, null)), "35.58");
  assertEquals(showTflops(UNKNOWN_DEVICE), "–");
  assertEquals([16_384, 24_564, 512, 0].map(showGigabytes), ["16 GB", "24 GB", "0.5 GB", "0 GB"]);
  assertEquals(showGigabytes(null), "–");
  assertEquals([0.1234, 1.26, 12.6, 126, 1_260].map(showMilliseconds), [
    "0.12 ms",
    "1.3 ms",
    "13 ms",
    "130 ms",
    "1300 ms",
  ]);
  assertEquals(showMilliseconds(null), "–");
});

Deno.test("one of a thing is one, and none or several are many", () => {
  assertEquals([0, 1, 2].map((count) => plural(count, "peer")), ["0 peers", "1 peer", "2 peers"]);
});

/** The lines with one bar between their columns. */
function columnsOf(lines: string[]): string[] {
  return lines.map((line) => line.replaceAll(/ {2,}/g, " | "));
}

const NOW = 100_000;

/** One that works, one at a time that does not, and two of other programs. */
const PEERS: Record<string, PeerStatus> = {
  c: peerOf("c", {
    state: "discovered",
    healthy: false,
    address: "10.0.0.9:5681",
    interface: null,
    lastSeen: NOW,
    problem: "connection refused",
    failing: {
      direction: "to",
      address: "10.0.0.3:5681",
      reason: "connection refused",
      unanswered: true,
    },
  }),
  b: peerOf("b", {
    state: "suspect",
    healthy: false,
    address: "10.0.0.2:5681",
    interface: "eth0",
    latencyMs: 1.26,
    lastSeen: NOW - 4_200,
    problem: "no route to host",
    failing: {
      direction: "both",
      address: "10.0.0.2:5681",
      reason: "no route to host",
      unanswered: true,
    },
  }),
  a: peerOf("a", { latencyMs: 1.26, currentLoad: 0.5, lastSeen: NOW - 1_000 }),
  d: peerOf("d", { kind: "exo", healthy: false, problem: "a peer of exo", agents: [] }),
  e: peerOf("e", { state: "discovered", problem: "no link to it is open yet" }),
};

Deno.test("the table has this node first, then its peers by name, and tells other programs apart", () => {
  assertEquals(columnsOf(statusTable({ ...STATUS, peers: PEERS }, terminalOf(200), NOW)), [
    "NODE | STATE | CHIP | TFLOPS | MEMORY | LOAD | ADDRESS | INTERFACE | ROUND TRIP | LAST SEEN | AGENTS",
    "laptop (here) | alive | M3 Pro | 7.1 | 18 GB | 75 % | 127.0.0.1:5681 | – | – | –",
    "a | alive | – | – | – | 50 % | 192.168.1.7:5681 | en0 | 1.3 ms | 1.0 s ago | calculator",
    "b | suspect | – | – | – | 0 % | 10.0.0.2:5681 | eth0 | 1.3 ms | 4.2 s ago | calculator",
    "c | discovered | – | – | – | 0 % | 10.0.0.9:5681 | – | – | 0.0 s ago | calculator",
    "d | alive, exo | – | – | – | 0 % | 192.168.1.7:5681 | en0 | – | 2 min ago",
    "e | discovered | – | – | – | 0 % | 192.168.1.7:5681 | en0 | – | 2 min ago | calculator",
  ]);
});

Deno.test("below the table stands what is in the way of each peer that cannot be used", () => {
  const status: NetworkStatus = {
    ...STATUS,
    peers: PEERS,
    unreached: [
      { address: "10.0.0.7:5681", via: "manual", nodeId: null, problem: "connection refused" },
      { address: "10.0.0.8:5681", via: "missed", nodeId: "f", problem: null },
    ],
    nameConflicts: [{ nodeId: "laptop", host: "10.0.0.6", isOlder: false }],
  };
  const notes = [
    "b (suspect, 10.0.0.2:5681 by eth0, 1.3 ms, last seen 4.2 s ago): nothing reaches " +
    "10.0.0.2:5681 in either direction: no route to host",
    "c (discovered, 10.0.0.9:5681, last seen 0.0 s ago): its beacons arrive, dialling " +
    "10.0.0.3:5681 fails: connection refused",
    "e (discovered, 192.168.1.7:5681 by en0, last seen 2 min ago): no link to it is open yet",
    "Nobody is linked at 10.0.0.7:5681, listed by manual: connection refused",
    "Nobody is linked at 10.0.0.8:5681 (f), listed by missed.",
    "A second node at 10.0.0.6 calls itself laptop and was refused.",
  ];
  const wide = statusReport(status, terminalOf(200), NOW);
  assertEquals(wide.slice(-notes.length), notes);
  // On a narrow terminal nothing of it is lost, and the ways to the others stand there, too.
  const narrow = statusReport(status, terminalOf(80), NOW);
  assertEquals(
    columnsOf(narrow)[2],
    "NODE | STATE | CHIP | TFLOPS | MEMORY | LOAD | ROUND TRIP | AGENTS",
  );
  assertEquals(
    narrow.slice(9).join(" ").replaceAll(/ +/g, " "),
    [
      ...notes,
      "a: 192.168.1.7:5681 by en0, 1.3 ms, last seen 1.0 s ago",
      "d: 192.168.1.7:5681 by en0, last seen 2 min ago",
    ].join(" "),
  );
});

Deno.test("peers have a line for each, and below it their addresses and what is wrong", () => {
  const addresses = [
    { address: "192.168.1.7:5681", via: "udp", interface: "en0", latencyMs: 1.26, inUse: true },
    { address: "100.64.0.7:5681", via: "tailscale", interface: null, latencyMs: 30, inUse: false },
    { address: "10.9.9.9:5681", via: "udp", interface: "eth1", latencyMs: null, inUse: false },
  ].map((one, i) => ({ ...one, problem: i === 2 ? "connection refused" : null }));
  const { b, d } = PEERS;
  const peers = [d, b, peerOf("a", { addresses, latencyMs: 1.26, lastSeen: NOW })];
  assertEquals(columnsOf(peersReport(peers, terminalOf(100), NOW)), [
    "NODE | STATE | ADDRESS | INTERFACE | FOUND BY | ROUND TRIP | LAST SEEN",
    "a | alive | 192.168.1.7:5681 | en0 | udp | 1.3 ms | 0.0 s ago",
    " | 192.168.1.7:5681 by en0, found by udp, 1.3 ms: in use",
    " | 100.64.0.7:5681, found by tailscale, 30 ms: not in use",
    " | 10.9.9.9:5681 by eth1, found by udp: connection refused",
    "b | suspect | 10.0.0.2:5681 | eth0 | udp | 1.3 ms | 4.2 s ago",
    " | nothing reaches 10.0.0.2:5681 in either direction: no route to host",
    "d | alive, exo | 192.168.1.7:5681 | en0 | udp | – | 2 min ago",
    " | a peer of exo",
  ]);
});

Deno.test("what is shown fits into any terminal: else it could not be drawn anew", () => {
  const problem = `${"x".repeat(500)} \x1b[2J${" 设备".repeat(99)}`;
  const failing = {
    direction: "both" as const,
    address: "10.0.0.2:5681",
    reason: problem,
    unanswered: true,
  };
  const peers = {
    a: peerOf("a".repeat(63), { state: "suspect", problem, failing }),
    b: peerOf("b".repeat(63), { kind: "hanzo-network", problem }),
  };
  const unreached = [{ address: "10.0.0.7:5681", via: "manual", nodeId: null, problem }];
  const nameConflicts = [{ nodeId: "n".repeat(63), host: "10.0.0.6", isOlder: false }];
  for (const columns of [1, 8, 40, 80, 300]) {
    const terminal = terminalOf(columns);
    const name = "сеть 设备".repeat(9);
    const status = { ...STATUS, nodeId: "n".repeat(30), name, peers, unreached, nameConflicts };
    const lines = [
      ...statusReport(status, terminal, NOW),
      ...peersReport(Object.values(peers), terminal, NOW),
    ];
    for (const line of lines) {
      assert(displayWidth(line) <= columns, `${columns}: ${line}`);
      assert(!line.includes("\x1b"), line);
    }
  }
});

Deno.test("the line above the table says what the node is and does", () => {
  assertEquals(
    statusLine(STATUS, terminalOf(200)),
    "laptop in network home, links at 127.0.0.1:5681: 1 peer, 1 task running, 2 waiting",
  );
});

Deno.test("a terminal without colours gets none, one with colours gets them around the text only", () => {
  assertEquals(new Terminal({ json: false, colours: false }).style("red", "x"), "x");
  assertEquals(new Terminal({ json: false, colours: true }).style("red", "x"), "\x1b[31mx\x1b[39m");
});

Deno.test("the shared state is told in a line, and what is in its way below it", () => {
  const sharedState: SharedStateStatus = {
    path: "/data/state.db",
    keys: 1,
    bytes: 512,
    maxBytes: 64 * 2 ** 20,
    differing: [],
    lastCheckpoint: null,
    checkpointProblem: null,
    damagedPath: null,
  };
  const told = (change: Partial<SharedStateStatus>) => {
    const status = { ...STATUS, sharedState: { ...sharedState, ...change } };
    return statusReport(status, terminalOf(Infinity), NOW).slice(4);
  };
  assertEquals(told({}), ["Shared state: 1 key, 512 B of 64 MiB, no checkpoint."]);
  const lastCheckpoint = { name: "monday", createdAt: NOW - 5_000, keys: 1 };
  assertEquals(told({ path: null, keys: 9, bytes: 1_600, lastCheckpoint }), [
    "Shared state: 9 keys, 1.56 KiB of 64 MiB, in memory, last checkpoint 5.0 s ago.",
  ]);
  assertEquals(told({ differing: ["b", "c"], checkpointProblem: "the disk is full" }).slice(1), [
    "It is not like that of b, c.",
    "No checkpoint could be made: the disk is full",
  ]);
});
