/** Figures, devices and networks as people read them. */

import { assert, assertEquals } from "@std/assert";
import {
  plural,
  showGigabytes,
  showMilliseconds,
  showTflops,
  statusLine,
  statusTable,
} from "../../src/cli/show.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { displayWidth } from "../../src/cli/width.ts";
import { type DeviceCapabilities, UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import type { NetworkStatus, PeerStatus } from "../../src/network/status.ts";

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
  address: "127.0.0.1:5681",
  peerCount: 1,
  agentCount: 2,
  activeTasks: 1,
  queuedTasks: 2,
  slots: 4,
  capabilities: { ...flops(null, 7.1), chip: "M3 Pro", memory: 18_432 },
  agents: [],
  tasks: [],
  peers: {},
  unreached: [],
  nameConflicts: [],
};

function peerOf(nodeId: string, change: Partial<PeerStatus> = {}): PeerStatus {
  return {
    nodeId,
    state: "alive",
    healthy: true,
    address: "192.168.1.7:5681",
    via: "udp",
    capabilities: null,
    agents: ["calculator"],
    currentLoad: 0,
    latencyMs: null,
    lastSeen: 0,
    problem: null,
    kind: "node",
    interface: "en0",
    addresses: [],
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

Deno.test("the table has this node first, then its peers by name, and says what is wrong with one", () => {
  const peers = {
    b: peerOf("b", { latencyMs: 1.26, currentLoad: 0.5 }),
    a: peerOf("a", { state: "suspect", problem: "its link was lost" }),
  };
  const lines = statusTable({ ...STATUS, peers }, terminalOf(200));
  assertEquals(lines.map((line) => line.replaceAll(/ {2,}/g, " | ")), [
    "NODE | STATE | CHIP | TFLOPS | MEMORY | LOAD | ROUND TRIP | AGENTS",
    "laptop (here) | alive | M3 Pro | 7.1 | 18 GB | 75 % | –",
    "a | suspect | – | – | – | 0 % | – | its link was lost",
    "b | alive | – | – | – | 50 % | 1.3 ms | calculator",
  ]);
});

Deno.test("the table and the line above it fit into any terminal: else they could not be drawn anew", () => {
  const peers = { a: peerOf("a".repeat(63), { problem: "x".repeat(500) }) };
  for (const columns of [8, 40, 80, 300]) {
    const terminal = terminalOf(columns);
    const status = { ...STATUS, nodeId: "n".repeat(30), name: "сеть 设备".repeat(9), peers };
    for (const line of [statusLine(status, terminal), ...statusTable(status, terminal)]) {
      assert(displayWidth(line) <= columns, `${columns}: ${line}`);
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
