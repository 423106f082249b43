/** Models of engines in whole networks in memory: who knows of them, and what goes to them. */

import { assertEquals, assertRejects } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import type { Platform } from "../../src/network/platform.ts";
import { ScriptedEngine } from "../engines/rig.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";

const ENGINE = "http://127.0.0.1:9000";
const asker = createAgent({
  name: "asker",
  description: "Asks a model",
  workload: "heavy",
  run: () => "asked",
});

/** An Ollama whose models the test changes: those in memory, and those on the disk. */
function ollama(loaded: string[], onDisk: string[] = []) {
  const engine = new ScriptedEngine();
  const set = (loaded: string[], onDisk: string[] = []) => {
    const list = (names: string[]) => names.map((name) => ({ name, digest: name }));
    engine.answers = {
      "/v1/models": { object: "list", data: [{ id: "a", owned_by: "library" }] },
      "/api/version": { version: "1" },
      "/api/tags": { models: list([...loaded, ...onDisk]) },
      "/api/ps": { models: list(loaded) },
      "/api/show": { capabilities: ["completion"] },
    };
  };
  set(loaded, onDisk);
  const platform: Partial<Platform> = {
    engines: {
      http: engine.http,
      usualPorts: [],
      knownPorts: [],
      environment: () => undefined,
    },
  };
  return { engine, set, platform };
}

Deno.test("a model's task goes where it is, rather where it is in memory, and follows it", async () => {
  await using fleet = new MemoryFleet(1);
  const [cold, warm] = [ollama([], ["m", "only-b"]), ollama(["m"])];
  const flops = { fp16: 100, fp32: 50, int8: 200 };
  const options = { agents: [asker], engines: [ENGINE], deviceCapabilities: { flops } };
  const a = await fleet.start({ nodeId: "a", agents: [asker] });
  const b = await fleet.start({ nodeId: "b", ...options }, { platform: cold.platform });
  await fleet.start({ nodeId: "c", ...options }, { platform: warm.platform });
  await fleet.advance(500);
  const runs = async (model: string) => {
    const run = a.network.run("?", { initialAgent: "asker", requirements: { model } });
    return (await fleet.wait(run)).nodeId;
  };
  const devices = (name: string) =>
    a.network.models().find((model) => model.name === name)?.devices
      .map(({ nodeId, loaded }) => `${nodeId} ${loaded}`);

  assertEquals(a.network.models().map(({ name }) => name), ["m", "only-b"]);
  assertEquals(devices("m"), ["b false", "c true"]);
  assertEquals([await runs("m"), await runs("only-b")], ["c", "b"]);
  const { peers, models } = b.network.getNetworkStatus();
  assertEquals([peers.c.models, models.map(({ name }) => name)], [["m"], ["m", "only-b"]]);

  cold.set(["m"]);
  warm.set([]);
  await fleet.advance(6_000);
  assertEquals([devices("m"), devices("only-b")], [["b true"], undefined]);
  assertEquals(await runs("m"), "b");
  const error = await assertRejects(() => runs("only-b"), NetworkError);
  assertEquals(error.code, "UNAVAILABLE");

  // Before the next look it is known by who is refused there.
  cold.engine.isGone = true;
  await fleet.advance(6_000);
  assertEquals(a.network.models(), []);
  assertEquals(b.network.engines().map(({ url, state }) => [url, state]), [[ENGINE, "absent"]]);
});

Deno.test("a node that runs nothing for others tells nobody of its models", async () => {
  await using fleet = new MemoryFleet(2);
  const { platform } = ollama(["m"]);
  const a = await fleet.start({ nodeId: "a" });
  const closed = { nodeId: "b", openAcceptTasks: false, engines: [ENGINE] };
  const b = await fleet.start(closed, { platform });
  await fleet.advance(500);
  assertEquals(b.network.models().map(({ name }) => name), ["m"]);
  assertEquals(a.network.models(), []);
});

Deno.test("known ports are looked at where the system says so, or the program", async () => {
  await using fleet = new MemoryFleet(3);
  const cases: [findEngines: boolean | undefined, usual: boolean, looks: boolean][] = [
    [undefined, true, true],
    [undefined, false, false],
    [false, true, false],
    [true, false, true],
  ];
  for (const [findEngines, usual, looks] of cases) {
    const { engine, platform } = ollama(["m"]);
    const known = [[11_434, "ollama"]] as const;
    const engines = { ...platform.engines!, usualPorts: usual ? known : [], knownPorts: known };
    const nodeId = `node-${findEngines}-${usual}`;
    const { network } = await fleet.start({ nodeId, findEngines }, { platform: { engines } });
    await fleet.advance(100);
    assertEquals([engine.asked.length > 0, network.engines().length], [looks, looks ? 1 : 0]);
    const count = engine.asked.length;
    await fleet.wait(network.stop({ drainMs: 0 }));
    await fleet.advance(60_000);
    assertEquals(engine.asked.length, count);
  }
});
