/** Real nodes on hosts of their own, from the outside: finding each other, and who is there. */

import { assertEquals } from "@std/assert";
import { Fleet, type FleetNode, others } from "../../tests/support/lan_fleet.ts";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { Lan, lanUnavailable } from "../../tests/support/lan.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const unavailable = await lanUnavailable();
const ignore = skipUnless(unavailable === undefined, `nodes on a LAN: ${unavailable}`);

/** By then nodes that can reach each other know it, on a machine that is busy with more. */
const MEETING_MS = 5_000;

/** By then a node has another way to a peer, or knows its new address. */
const REROUTING_MS = 8_000;

/** A test with a LAN, whose nodes are gone at its end. */
function lanTest(name: string, test: (lan: Lan, fleet: Fleet) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: () =>
      withTempDir(async (directory) => {
        await using lan = await Lan.of();
        await test(lan, new Fleet(lan, directory));
      }),
  });
}

/** Starts a node on each of these new hosts, all at once, and waits until all see all. */
async function gather(lan: Lan, fleet: Fleet, ...hosts: string[]): Promise<FleetNode[]> {
  const nodes = await Promise.all(hosts.map(async (host) => {
    await lan.addHost(host);
    return await fleet.up(host);
  }));
  await fleet.untilAllSeeAll(nodes, MEETING_MS);
  return nodes;
}

/** Lets one node give another one a task, and checks that it ran there. */
async function assertRuns(fleet: Fleet, from: FleetNode, to: FleetNode): Promise<void> {
  const run = ["run", "now", "--agent=monitor", `--node=${to.nodeId}`, "--timeout=10"];
  const result = await fleet.ask<RunResult>(from, ...run);
  assertEquals([result.nodeId, result.attempts], [to.nodeId, 1], JSON.stringify(result));
}

/** Waits until a node reaches another one at a host's address. */
async function reachesAt(
  fleet: Fleet,
  from: FleetNode,
  to: FleetNode,
  host: string,
): Promise<void> {
  const check = async () => {
    const { peers } = await fleet.ask<NetworkStatus>(from, "status");
    const { state, address } = peers[to.nodeId];
    assertEquals([state, address], ["alive", `${host}:5681`]);
    return true;
  };
  const what = `${from.nodeId} reaching ${to.nodeId} at ${host}`;
  await eventually(check, { what, timeoutMs: REROUTING_MS, intervalMs: 200 });
}

/** Checks that no node has taken another one out of its table. */
function assertNobodyRemoved(nodes: readonly FleetNode[]): void {
  const removals = nodes.flatMap(({ nodeId, told }) =>
    told.filter(({ type }) => type === "peer-died" || type === "peer-left")
      .map((event) => `${nodeId}: ${event.type} ${event.nodeId}, ${event.reason}`)
  );
  assertEquals(removals, []);
}

lanTest(
  "two hosts of a network that is no /24 find each other and run tasks for each other",
  async (lan, fleet) => {
    const [a, b] = await gather(lan, fleet, "A", "B");
    await Promise.all([assertRuns(fleet, a, b), assertRuns(fleet, b, a)]);
    await reachesAt(fleet, a, b, lan.address("B"));
  },
);

lanTest(
  "listen ports 5681 and 5682 with broadcast port 5678 meet on one machine and on two",
  async (lan, fleet) => {
    await Promise.all([lan.addHost("here"), lan.addHost("there")]);
    const ports = (listen: number) => [`--listen-port=${listen}`, "--broadcast-port=5678"];
    const nodes = await Promise.all([
      fleet.up("here", "node1", ...ports(5681)),
      fleet.up("here", "node2", ...ports(5682)),
      fleet.up("there", "node3", ...ports(5682)),
    ]);
    await fleet.untilAllSeeAll(nodes, MEETING_MS);
    const [first, second, third] = nodes;
    await Promise.all([assertRuns(fleet, first, second), assertRuns(fleet, third, first)]);
  },
);

lanTest("a node that is killed is gone from all others", async (lan, fleet) => {
  const nodes = await gather(lan, fleet, "A", "B", "C");
  const [a, victim] = nodes;
  const rest = others(nodes, victim);
  victim.process.kill("SIGKILL");
  const isGone = () => rest.every((node) => node.hasLost(victim));
  await fleet.until("the end of B", rest, isGone, 3_000);
  const { peers } = await fleet.ask<NetworkStatus>(a, "status");
  assertEquals(Object.keys(peers), ["C"]);
});

lanTest("a node that stops for four seconds is removed by nobody", async (lan, fleet) => {
  const nodes = await gather(lan, fleet, "A", "B", "C");
  const [a, paused] = nodes;
  paused.process.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  paused.process.kill("SIGCONT");
  await fleet.untilAllSeeAll(nodes, MEETING_MS);
  // To the one that was stopped, all others were silent for as long.
  await Promise.all([assertRuns(fleet, paused, a), assertRuns(fleet, a, paused)]);
  assertNobodyRemoved(nodes);
});

lanTest(
  "groups that were apart until they gave each other up see each other again",
  async (lan, fleet) => {
    const nodes = await gather(lan, fleet, "A", "B", "C");
    const [a, b, c] = nodes;
    await lan.partition(["A"], ["B", "C"]);
    const areApart = () => [b, c].every((one) => a.hasLost(one) && one.hasLost(a));
    await fleet.until("both groups to give each other up", nodes, areApart, 15_000);
    assertEquals([b.stateOf(c), c.stateOf(b)], ["alive", "alive"]);

    await lan.heal();
    await fleet.untilAllSeeAll(nodes, MEETING_MS);
    await Promise.all([assertRuns(fleet, a, b), assertRuns(fleet, c, a)]);
  },
);

lanTest("a node of two networks meets the nodes of both", async (lan, fleet) => {
  await Promise.all([lan.addHost("A", [0, 1]), lan.addHost("B", [0]), lan.addHost("C", [1])]);
  const [a, b, c] = await Promise.all([fleet.up("A"), fleet.up("B"), fleet.up("C")]);
  await fleet.untilAllSeeAll([a, b], MEETING_MS);
  await fleet.untilAllSeeAll([a, c], MEETING_MS);
  await Promise.all([assertRuns(fleet, a, b), assertRuns(fleet, c, a)]);
});

lanTest(
  "two nodes that share two networks go on by the other when one is cut",
  async (lan, fleet) => {
    await Promise.all([lan.addHost("A", [0, 1]), lan.addHost("B", [0, 1])]);
    const nodes = await Promise.all([fleet.up("A"), fleet.up("B")]);
    await fleet.untilAllSeeAll(nodes, MEETING_MS);
    const [a, b] = nodes;
    const { peers } = await fleet.ask<NetworkStatus>(a, "status");
    const isFirst = peers["B"].address === `${lan.address("B", 0)}:5681`;
    const [used, unused] = isFirst ? [0, 1] : [1, 0];

    await lan.unplug("B", used);

    await reachesAt(fleet, a, b, lan.address("B", unused));
    await fleet.untilAllSeeAll(nodes, MEETING_MS);
    await Promise.all([assertRuns(fleet, a, b), assertRuns(fleet, b, a)]);
    assertNobodyRemoved(nodes);
  },
);

lanTest("a node whose address changes is reached at the new one", async (lan, fleet) => {
  const nodes = await gather(lan, fleet, "A", "B");
  const [a, b] = nodes;

  await lan.changeAddress("B");

  await reachesAt(fleet, a, b, lan.address("B"));
  await fleet.untilAllSeeAll(nodes, MEETING_MS);
  await Promise.all([assertRuns(fleet, a, b), assertRuns(fleet, b, a)]);
  assertNobodyRemoved(nodes);
});

lanTest("a node that is started before it has a network is found with it", async (lan, fleet) => {
  await Promise.all([lan.addHost("A"), lan.addHost("B", [])]);
  const nodes = await Promise.all([fleet.up("A"), fleet.up("B")]);

  await lan.connect("B", 0);

  await fleet.untilAllSeeAll(nodes, REROUTING_MS);
  await Promise.all([assertRuns(fleet, nodes[0], nodes[1]), assertRuns(fleet, nodes[1], nodes[0])]);
});

lanTest(
  "devices of one tailnet meet at their addresses there, without a beacon",
  async (lan, fleet) => {
    await withTempDir(async (directory) => {
      const addresses: Record<string, string> = { A: "100.64.0.1", B: "100.64.0.2" };
      const nodes = await Promise.all(
        Object.entries(addresses).map(async ([host, own]) => {
          await lan.addHost(host);
          await lan.addAddress(host, `${own}/10`);
          const device = ([name, address]: [string, string]) => ({
            HostName: name,
            TailscaleIPs: [address],
            OS: "linux",
            Online: true,
          });
          const others = Object.entries(addresses).filter(([name]) => name !== host).map(device);
          const status = {
            BackendState: "Running",
            Self: device([host, own]),
            Peer: { ...others },
          };
          await Deno.writeTextFile(`${directory}/${host}.json`, JSON.stringify(status));
          const command = `${directory}/${host}.sh`;
          const script = `#!/bin/sh\ncat '${directory}/${host}.json'\n`;
          await Deno.writeTextFile(command, script, { mode: 0o755 });
          return await fleet.up(host, host, "--discovery=tailscale", `--tailscale=${command}`);
        }),
      );
      await fleet.untilAllSeeAll(nodes, MEETING_MS);
      const [a, b] = nodes;
      await assertRuns(fleet, a, b);
      await reachesAt(fleet, a, b, addresses.B);
    });
  },
);
