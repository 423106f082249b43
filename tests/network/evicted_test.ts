/** Who was evicted is shown as that, and missed by nobody. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { Evicted } from "../../src/network/evicted.ts";
import type { NetworkParts } from "../../src/network/parts.ts";
import { networkStatus } from "../../src/network/snapshot.ts";
import { TaskHistory } from "../../src/tasks/history.ts";

const shown = (...names: string[]) => ({ identity: "1", names, tag: "t" });

/** A node that has lost c and d, of which it still knows where they were. */
function partsWith(evicted: Evicted): NetworkParts {
  const address = { host: "10.0.0.3", port: 5681, via: "udp" };
  const lost = { nodeId: "c", state: "suspect", addresses: [address], lastHeard: 0, sightedAt: 0 };
  const failure = { failingSince: 0, lastFailure: "Let it join this one.", unanswered: false };
  const missed = (nodeId: string) => ({
    seed: { host: "10.0.0.9", port: 5681, addresses: [], nodeId },
    via: "missed",
    nodeId,
    problem: "Let it join this one.",
  });
  const parts: Partial<NetworkParts> = {
    options: { nodeId: "a", open: false } as NetworkParts["options"],
    clock: new ManualClock(),
    self: () =>
      ({ network: "home", agents: [], models: [], capabilities: UNKNOWN_DEVICE }) as never,
    trust: () => undefined,
    listenHost: "10.0.0.1",
    pool: { get: () => undefined } as never,
    membership: {
      peers: () => [{ ...lost, ...failure }],
      get: () => undefined,
      seeds: () => [missed("c"), missed("d")],
    } as never,
    executor: { tasks: () => [] } as never,
    dispatcher: { history: new TaskHistory(new ManualClock()) } as never,
    interfaces: () => [],
    state: { status: () => null } as never,
    candidates: () => [],
    conflicts: () => [],
    refusedBy: () => [],
    foreign: () => [],
    evicted,
  };
  return parts as NetworkParts;
}

Deno.test("who was evicted is no fault of anybody's, and nobody misses it", () => {
  const evicted = new Evicted();
  const before = networkStatus(partsWith(evicted), "running");
  assertEquals([before.peers.c.evicted, before.peers.c.problem], [false, "Let it join this one."]);
  assertEquals(before.unreached.map(({ nodeId }) => nodeId), ["c", "d"]);

  evicted.note(shown("c", "also"));
  const { peers, unreached } = networkStatus(partsWith(evicted), "running");
  assertEquals([peers.c.evicted, peers.c.failing], [true, null]);
  assertStringIncludes(peers.c.problem ?? "", "Nothing needs doing");
  assertEquals(unreached.map(({ nodeId }) => nodeId), ["d"]);

  evicted.forget("c");
  assertEquals(networkStatus(partsWith(evicted), "running").peers.c.evicted, false);
});

Deno.test("of many that come with what does not count any more the last are known", () => {
  const evicted = new Evicted();
  for (let i = 0; i < 70; i++) evicted.note(shown(`n${i}`));
  assertEquals(["n0", "n5", "n6", "n69"].map((label) => evicted.has(label)), [
    false,
    false,
    true,
    true,
  ]);
});
