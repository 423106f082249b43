/** Nodes of one machine, found in its data directory: when it is looked at, and what is told. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { silentLogger } from "../../src/base/log.ts";
import type { DiscoverySink } from "../../src/discovery/discovery.ts";
import { MachineDiscovery } from "../../src/discovery/machine.ts";
import type { Seed } from "../../src/membership/seeds.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { WatchedClock } from "../support/watched_clock.ts";

interface Running {
  nodeId: string;
  grpc: string;
}

/** A machine whose data directory is a list that the test changes. */
class Machine {
  readonly clock = new WatchedClock();
  readonly looks: number[] = [];
  readonly told: { at: number; via: string; seeds: readonly Seed[] }[] = [];
  nodes: Running[] = [];
  /** What looking comes to, instead of the nodes. */
  answer: (() => Promise<Running[]>) | undefined;

  async start(logger = silentLogger): Promise<MachineDiscovery> {
    const discovery = new MachineDiscovery({
      clock: this.clock,
      logger,
      self: "me",
      running: () => {
        this.looks.push(this.clock.now());
        return this.answer?.() ?? Promise.resolve(this.nodes);
      },
    });
    const sink: DiscoverySink = {
      sighted: () => false,
      listed: (via, seeds) => this.told.push({ at: this.clock.now(), via, seeds }),
    };
    await discovery.start(sink);
    return discovery;
  }
}

function seed(nodeId: string, port: number): Seed {
  return { host: "127.0.0.1", port, addresses: ["127.0.0.1"], nodeId };
}

Deno.test("it looks at once, after 100, 300 and 1,000 ms, and then every 2.5 s", async () => {
  const machine = new Machine();
  const discovery = await machine.start();
  await machine.clock.advance(10_000);

  assertEquals(machine.looks, [0, 100, 300, 1_000, 2_500, 5_000, 7_500, 10_000]);
  await discovery.stop();
});

Deno.test("the nodes of this machine are listed at the loopback, whatever they listen on", async () => {
  const machine = new Machine();
  machine.nodes = [
    { nodeId: "a", grpc: "0.0.0.0:5682" },
    { nodeId: "me", grpc: "0.0.0.0:5681" },
    { nodeId: "b", grpc: "[::]:65535" },
  ];
  const discovery = await machine.start();
  await machine.clock.advance(0);

  assertEquals(machine.told, [
    { at: 0, via: "machine", seeds: [seed("a", 5682), seed("b", 65_535)] },
  ]);
  await discovery.stop();
});

Deno.test("it tells only what has changed: who came, moved or went", async () => {
  const machine = new Machine();
  machine.nodes = [{ nodeId: "me", grpc: "127.0.0.1:5681" }];
  const discovery = await machine.start();
  await machine.clock.advance(5_000);
  assertEquals(machine.told, []);

  for (const port of [5682, 5683]) {
    machine.nodes = [{ nodeId: "a", grpc: `127.0.0.1:${port}` }];
    await machine.clock.advance(5_000);
  }
  machine.nodes = [];
  await machine.clock.advance(5_000);

  assertEquals(machine.told.map(({ at, seeds }) => [at, ...seeds]), [
    [7_500, seed("a", 5682)],
    [12_500, seed("a", 5683)],
    [17_500],
  ]);
  await discovery.stop();
});

Deno.test("a node that writes no address that is understood hides no other", async () => {
  const texts = ["", "5682", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:56 82", "a:1:x"];
  const machine = new Machine();
  machine.nodes = [
    ...texts.map((grpc, index) => ({ nodeId: `odd${index}`, grpc })),
    // What another version may have left out.
    { nodeId: "none" } as Running,
    { nodeId: "a", grpc: "127.0.0.1:5682" },
  ];
  const discovery = await machine.start();
  await machine.clock.advance(0);

  assertEquals(machine.told.map(({ seeds }) => seeds), [[seed("a", 5682)]]);
  await discovery.stop();
});

Deno.test("any text as an address gives a port that can be dialled, or none", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), async (grpc) => {
      const machine = new Machine();
      machine.nodes = [{ nodeId: "a", grpc }, { nodeId: "b", grpc: `127.0.0.1:${grpc}` }];
      const discovery = await machine.start();
      await machine.clock.advance(0);
      for (const { port } of machine.told.flatMap(({ seeds }) => seeds)) {
        assertEquals(port >= 1 && port <= 65_535 && Number.isInteger(port), true);
      }
      await discovery.stop();
    }),
    { numRuns: 50 },
  );
});

Deno.test("looks that fail are told once, and the list stays until one succeeds", async () => {
  const { logger, lines } = recordingLogger();
  const machine = new Machine();
  machine.nodes = [{ nodeId: "a", grpc: "127.0.0.1:5682" }];
  const discovery = await machine.start(logger);
  await machine.clock.advance(50);

  machine.answer = () => Promise.reject(new Error("disk on fire"));
  await machine.clock.advance(10_000);
  assertEquals(lines("debug"), ["Cannot look for the nodes of this machine: disk on fire"]);
  assertEquals(machine.told.length, 1);

  machine.answer = undefined;
  machine.nodes = [];
  await machine.clock.advance(2_500);
  assertEquals(machine.told.map(({ seeds }) => seeds.length), [1, 0]);

  machine.answer = () => Promise.reject(new Error("disk on fire"));
  await machine.clock.advance(2_500);
  assertEquals(lines("debug").length, 2);
  await discovery.stop();
});

Deno.test("a look that hangs is not joined by others, and the next comes after it", async () => {
  const machine = new Machine();
  const hanging = Promise.withResolvers<Running[]>();
  machine.answer = () => hanging.promise;
  const discovery = await machine.start();
  await machine.clock.advance(6_000);
  assertEquals(machine.looks, [0]);

  machine.answer = undefined;
  hanging.resolve([{ nodeId: "a", grpc: "127.0.0.1:5682" }]);
  await machine.clock.advance(1_500);
  assertEquals(machine.looks, [0, 7_500]);
  assertEquals(machine.told.map(({ at }) => at), [6_000, 7_500]);
  await discovery.stop();
});

Deno.test("stop waits for a look that is under way, of which nothing is told", async () => {
  const machine = new Machine();
  const hanging = Promise.withResolvers<Running[]>();
  machine.answer = () => hanging.promise;
  const discovery = await machine.start();
  const order: string[] = [];
  const stopped = Promise.all([discovery.stop(), discovery.stop()]).then(() => order.push("stop"));
  await machine.clock.advance(10_000);
  order.push("look");
  hanging.resolve([{ nodeId: "a", grpc: "127.0.0.1:5682" }]);
  await stopped;

  assertEquals(order, ["look", "stop"]);
  assertEquals(machine.told, []);
  assertEquals(machine.looks, [0]);
  assertEquals(machine.clock.pending, 0);
});
