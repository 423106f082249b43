/** A node's life: starting, stopping, and every misuse of the two. */

import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { heldAgent } from "../support/task_rig.ts";

/** What a promise came to, without ever rejecting. */
function outcomeOf<T>(promise: Promise<T>): Promise<T | NetworkError> {
  return promise.catch((thrown) => thrown);
}

async function errorOf(fleet: MemoryFleet, promise: Promise<unknown>): Promise<NetworkError> {
  const error = await fleet.wait(outcomeOf(promise));
  assert(error instanceof NetworkError, `no error: ${error}`);
  return error;
}

/** Whether all has come to rest: a node that has stopped sends nothing and waits for nothing. */
async function isQuiet(fleet: MemoryFleet): Promise<boolean> {
  // What is on the way arrives.
  await fleet.advance(10);
  return fleet.clock.pending === 0 && fleet.links.openStreams === 0;
}

Deno.test("a node goes through its states in order, and has an address only while it is up", async () => {
  await using fleet = new MemoryFleet(301);
  const { network } = fleet.create({ nodeId: "a" });
  const seen: [string, string | null][] = [];
  const look = () => {
    const { state, address } = network.getNetworkStatus();
    seen.push([state, address]);
  };
  look();
  const starting = network.start();
  look();
  await fleet.wait(starting);
  look();
  const stopping = network.stop();
  look();
  await fleet.wait(stopping);
  look();
  assertEquals(seen, [
    ["created", null],
    ["starting", null],
    ["running", "10.0.0.1:5681"],
    ["stopping", "10.0.0.1:5681"],
    ["stopped", null],
  ]);
});

Deno.test("a node that is not up runs nothing and says what to do", async () => {
  await using fleet = new MemoryFleet(302);
  const { network } = fleet.create({ nodeId: "a" });
  const ways = [
    () => network.run("1", { initialAgent: "calculator" }),
    () => network.runAll("1", { initialAgent: "calculator" }),
    () => network.stream("1", { initialAgent: "calculator" }).next(),
  ];
  for (const run of ways) {
    const { code, message } = await errorOf(fleet, run());
    assertEquals(code, "FAILED_PRECONDITION");
    assertEquals(
      message,
      "Cannot run an agent: the network is created. Call start() first.",
    );
  }
  await fleet.wait(network.start());
  await fleet.wait(network.stop());
  for (const run of ways) {
    const { code, message } = await errorOf(fleet, run());
    assertEquals(code, "FAILED_PRECONDITION");
    assertEquals(message, "Cannot run an agent: the network is stopped.");
  }
});

Deno.test("a second start is refused and does not disturb the first", async () => {
  await using fleet = new MemoryFleet(303);
  const { network } = fleet.create({ nodeId: "a" });
  const first = network.start();
  const early = await errorOf(fleet, network.start());
  assertEquals(early.code, "FAILED_PRECONDITION");
  assertStringIncludes(early.message, "it is starting");
  await fleet.wait(first);
  assertStringIncludes((await errorOf(fleet, network.start())).message, "it is running");
  assertEquals(network.getNetworkStatus().state, "running");
});

Deno.test("a node that was stopped cannot be started again, also when it had never started", async () => {
  await using fleet = new MemoryFleet(304);
  const { network } = fleet.create({ nodeId: "a" });
  await fleet.wait(network.stop());
  const error = await errorOf(fleet, network.start());
  assertEquals(error.code, "FAILED_PRECONDITION");
  assertEquals(
    error.message,
    "Cannot start the network: it is stopped. Create another one.",
  );
});

Deno.test("stopping twice, or many times at once, is stopping once", async () => {
  await using fleet = new MemoryFleet(305);
  const a = await fleet.start({ nodeId: "a" });
  const { network } = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  await fleet.wait(Promise.all([network.stop(), network.stop(), network[Symbol.asyncDispose]()]));
  const again = network.stop();
  assertEquals(network.getNetworkStatus().state, "stopped");
  await again;
  await fleet.advance(1_000);
  assertEquals(a.told, ["peer-discovered b", "peer-joined b", "peer-left b"]);
});

Deno.test("a stop during the start ends both, and nothing is left behind", async () => {
  for (let waited = 0; waited <= 100; waited += 20) {
    await using fleet = new MemoryFleet(306);
    const { network } = fleet.create({ nodeId: "a" }, {
      // A device that takes its time keeps the start from ending.
      platform: { detect: () => new Promise(() => {}) },
    });
    const starting = outcomeOf(network.start());
    await fleet.advance(waited);
    await fleet.wait(network.stop());
    const outcome = await starting;
    if (waited < 100) {
      assert(outcome instanceof NetworkError);
      assertEquals(
        [outcome.code, outcome.message],
        ["CANCELLED", "The network was stopped while it started."],
      );
    }
    assertEquals(network.getNetworkStatus().state, "stopped");
    assert(await isQuiet(fleet), `after ${waited} ms`);
    // Its port is free again.
    const next = await fleet.start({ nodeId: "b" }, { host: "10.0.0.1" });
    assertEquals(next.network.getNetworkStatus().address, "10.0.0.1:5681");
  }
});

Deno.test("a port that was asked for and is taken fails the start, which leaves nothing behind", async () => {
  await using fleet = new MemoryFleet(307);
  const first = await fleet.start({ nodeId: "a", listenPort: 7_000 });
  const second = fleet.create({ nodeId: "b", listenPort: 7_000 }, { host: first.host });
  const error = await errorOf(fleet, second.network.start());
  assertEquals(error.code, "PORT_IN_USE");
  assertStringIncludes(error.message, "10.0.0.1:7000: the port is taken");
  assertEquals(second.network.getNetworkStatus().state, "stopped");
  await fleet.wait(first.network.stop());
  assert(await isQuiet(fleet));
});

Deno.test("without a port of its own a node takes the next free one, and says so", async () => {
  await using fleet = new MemoryFleet(308);
  const log = recordingLogger();
  const host = "10.0.0.1";
  const options = { listenPort: undefined, logger: log.logger };
  const nodes = [];
  for (const nodeId of ["a", "b", "c"]) {
    nodes.push(await fleet.start({ nodeId, ...options }, { host }));
  }
  assertEquals(nodes.map(({ network }) => network.getNetworkStatus().address), [
    "10.0.0.1:5681",
    "10.0.0.1:5682",
    "10.0.0.1:5683",
  ]);
  assertEquals(log.lines("info"), [
    "Port 5681 is taken; links are accepted on 5682",
    "Port 5681 is taken; links are accepted on 5683",
  ]);
});

Deno.test("a start that waits for peers resolves as soon as they are there", async () => {
  await using fleet = new MemoryFleet(309);
  await fleet.start({ nodeId: "a" });
  const { network } = fleet.create({ nodeId: "b" });
  const starting = network.start({ waitForPeers: 2 });
  await fleet.advance(5_000);
  assertEquals(network.getNetworkStatus().peerCount, 1);
  await fleet.start({ nodeId: "c" });
  await fleet.wait(starting, 500);
  assertEquals(network.getNetworkStatus().peerCount, 2);
});

Deno.test("a start with too few peers fails in time, says how many came, and stops the node", async () => {
  await using fleet = new MemoryFleet(310);
  const a = await fleet.start({ nodeId: "a" });
  const { network } = fleet.create({ nodeId: "b" });
  const started = fleet.clock.now();
  const error = await errorOf(fleet, network.start({ waitForPeers: 3, timeoutMs: 4_000 }));
  const waited = fleet.clock.now() - started;
  assert(waited >= 4_000 && waited <= 4_200, `it took ${waited} ms`);
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  assertEquals(
    error.message,
    "Cannot start the network with 3 peers: 1 came within 4000 ms. " +
      "Are the others running, with the same name and broadcast port?",
  );
  assertEquals(network.getNetworkStatus().state, "stopped");
  await fleet.advance(100);
  assertEquals(a.told.at(-1), "peer-left b");
});

Deno.test("a stop while the start waits for peers ends that wait", async () => {
  await using fleet = new MemoryFleet(311);
  const { network } = fleet.create({ nodeId: "a" });
  const starting = outcomeOf(network.start({ waitForPeers: 1 }));
  await fleet.advance(1_000);
  await fleet.wait(network.stop());
  const error = await fleet.wait(starting);
  assert(error instanceof NetworkError);
  assertEquals(
    [error.code, error.message],
    ["CANCELLED", "The network was stopped while it waited for peers."],
  );
  assert(await isQuiet(fleet));
});

Deno.test("a device that is slow to be known delays the start by 100 ms, and is told to peers later", async () => {
  await using fleet = new MemoryFleet(312);
  const a = await fleet.start({ nodeId: "a" });
  const known = Promise.withResolvers<void>();
  const b = fleet.create({ nodeId: "b", deviceCapabilities: { chip: "M3" } }, {
    platform: {
      detect: async (overrides) => {
        await known.promise;
        return { ...MEMORY_DEVICE, chip: overrides.chip ?? null };
      },
    },
  });
  const started = fleet.clock.now();
  await fleet.wait(b.network.start());
  assertEquals(fleet.clock.now() - started, 100);
  await fleet.advance(1_000);
  const chipSeen = () => a.network.getNetworkStatus().peers.b.capabilities?.chip;
  assertEquals(chipSeen(), null);
  known.resolve();
  await fleet.advance(10);
  assertEquals(chipSeen(), "M3");
  assertEquals(a.told.at(-1), "peer-updated b");
});

Deno.test("a device that cannot be known is reported, and the node is up all the same", async () => {
  await using fleet = new MemoryFleet(313);
  const log = recordingLogger();
  const { network } = await fleet.start({ nodeId: "a", logger: log.logger }, {
    platform: { detect: () => Promise.reject(new Error("no tools")) },
  });
  assertEquals(network.getNetworkStatus().state, "running");
  assertEquals(log.lines("warn"), ["The device is unknown: no tools"]);
});

Deno.test("a stop waits for what runs here, and then for no longer than it was told", async () => {
  await using fleet = new MemoryFleet(314);
  const held = heldAgent();
  const { network } = await fleet.start({ nodeId: "a", agents: [held.agent], slots: 1 });
  const run = () => outcomeOf(network.run("x"));
  const [first, second, third] = [run(), run(), run()];
  await fleet.advance(10);
  const stopping = network.stop({ drainMs: 3_000 });
  await fleet.advance(1_000);
  held.runs[0].answer("done");
  await fleet.advance(1_000);
  assertEquals(network.getNetworkStatus().state, "stopping");
  assertEquals(held.runs.length, 2, "what waited still gets its turn");
  await fleet.advance(1_010);
  assertEquals(network.getNetworkStatus().state, "stopped");
  await stopping;
  assertEquals((await first as { output: string }).output, "done");
  for (const outcome of [await second, await third]) {
    assert(outcome instanceof NetworkError);
    assertEquals(outcome.code, "CANCELLED");
  }
  assertEquals(held.runs.length, 2, "nothing begins once it has stopped");
  assert(held.runs[1].context.signal.aborted);
});

Deno.test("a stop with nothing to finish takes no time and leaves no timer that would keep the process", async () => {
  await using fleet = new MemoryFleet(315);
  const a = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  for (const { network } of [a, b]) await fleet.wait(network.stop(), 20);
  assert(await isQuiet(fleet));
});

Deno.test("events are kept from the moment they are asked for, not from the first one read", async () => {
  await using fleet = new MemoryFleet(316);
  const { network } = fleet.create({ nodeId: "a" });
  const events = network.events();
  await fleet.wait(network.start());
  await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  await fleet.wait(network.stop());
  const told = (await Array.fromAsync(events)).map(({ type, nodeId }) => `${type} ${nodeId}`);
  assertEquals(told, ["peer-discovered b", "peer-joined b"]);
});

Deno.test("events end when the network stops, when the signal says so, and when the loop is left", async () => {
  await using fleet = new MemoryFleet(317);
  const { network } = await fleet.start({ nodeId: "a" });
  const abort = new AbortController();
  const bySignal = Array.fromAsync(network.events({ signal: abort.signal }));
  const byStop = Array.fromAsync(network.events());
  const left = (async () => {
    for await (const { nodeId } of network.events()) return nodeId;
  })();
  abort.abort();
  assertEquals(await bySignal, []);
  const abandoned = network.events();
  await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  assertEquals(await left, "b");
  await abandoned.return!();
  assertEquals((await abandoned.next()).done, true);
  await fleet.wait(network.stop());
  assertEquals((await byStop).map(({ type }) => type), ["peer-discovered", "peer-joined"]);
  assertEquals(await Array.fromAsync(network.events()), [], "after the stop there are none");
});

Deno.test("what a run is told is checked before anything runs", async () => {
  await using fleet = new MemoryFleet(318);
  const { network } = await fleet.start({ nodeId: "a" });
  for (const timeoutMs of [0, 0.5, -1, NaN, Infinity, 604_800_001]) {
    const { code, message } = await errorOf(
      fleet,
      network.run("1", { initialAgent: "calculator", timeoutMs }),
    );
    assertEquals(code, "INVALID_ARGUMENT");
    assertStringIncludes(message, `timeoutMs is ${timeoutMs}, expected 1 to 604800000`);
  }
  const unnamed = await errorOf(fleet, network.run("1"));
  assertEquals(unnamed.code, "INVALID_ARGUMENT");
  assertStringIncludes(unnamed.message, "name one of assistant, calculator, monitor");
  const stranger = await errorOf(fleet, network.run("1", { initialAgent: "poet" }));
  assertEquals(stranger.code, "NOT_FOUND");
});

const MEMORY_DEVICE = { ...UNKNOWN_DEVICE, os: "memory", arch: "x86_64" };

Deno.test("an await using block stops the node when it is left", async () => {
  await using fleet = new MemoryFleet(319);
  const { network } = await fleet.start({ nodeId: "a" });
  await fleet.wait((async () => {
    await using scoped = network;
    assertEquals(scoped.getNetworkStatus().state, "running");
  })());
  assertEquals(network.getNetworkStatus().state, "stopped");
  await assertRejects(() => network.start(), NetworkError, "stopped");
});
