/** What a network can be told: defaults, bounds, and what is said of a value that does not fit. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createAgent } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { isLabel } from "../../src/base/safe_text.ts";
import type { Random } from "../../src/base/random.ts";
import { defaultNodeId } from "../../src/network/node_label.ts";
import { leavesMachine, type NetworkOptions, resolveOptions } from "../../src/network/options.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { anyText } from "../support/any_text.ts";

const CHANCE: Random = { next: () => 0.0042, fill: (bytes) => bytes };
const HOST = { name: "studio.local", cores: 10, random: CHANCE };

const agent = (name: string, description = "") => createAgent({ name, description, run: () => "" });

function refusalOf(options: Record<string, unknown>): NetworkError {
  return assertThrows(() => resolveOptions(options as NetworkOptions, HOST), NetworkError);
}

Deno.test("everything has a default", () => {
  assertEquals(resolveOptions({}, HOST), {
    agents: [],
    agentLoops: new Map(),
    defaultRouting: { router: undefined, maxIterations: undefined, hooks: undefined },
    agentPrograms: [],
    engines: [],
    modelAliases: Object.create(null),
    findEngines: undefined,
    tools: {},
    assistantModel: "default",
    name: undefined,
    isNamed: false,
    nodeId: "studio-0042",
    listenPort: undefined,
    broadcastPort: 5678,
    discoveryModes: new Set(["udp" as const]),
    configPath: undefined,
    peers: [],
    tailscale: {},
    dataDirectory: undefined,
    networkInterfaces: [],
    tls: undefined,
    open: false,
    openAcceptTasks: false,
    existingPeers: true,
    checkpointIntervalMs: 3_600_000,
    keptCheckpoints: 24,
    deviceCapabilities: {},
    labels: [],
    routingStrategy: "capability-based",
    customRouter: undefined,
    healthCheckIntervalMs: 1_000,
    slots: 5,
    logger: silentLogger,
  });
});

Deno.test("the default of slots is half of the cores, 2 to 8", () => {
  const slots = [1, 2, 4, 5, 7, 16, 17, 128].map((cores) =>
    resolveOptions({}, { ...HOST, cores }).slots
  );
  assertEquals(slots, [2, 2, 2, 2, 3, 8, 8, 8]);
});

const RANGES: [option: keyof NetworkOptions, least: number, most: number][] = [
  ["listenPort", 0, 65_535],
  ["broadcastPort", 1, 65_535],
  ["healthCheckIntervalMs", 50, 60_000],
  ["slots", 1, 4_096],
  ["keptCheckpoints", 1, 1_000],
];

for (const [option, least, most] of RANGES) {
  Deno.test(`${option} takes whole numbers from ${least} to ${most} and nothing else`, () => {
    for (const value of [least, most]) {
      assertEquals(resolveOptions({ [option]: value }, HOST)[option as "slots"], value);
    }
    for (const value of [least - 1, most + 1, least + 0.5, NaN, Infinity]) {
      const { code, message } = refusalOf({ [option]: value });
      assertEquals(code, "INVALID_ARGUMENT");
      assertEquals(
        message,
        `Cannot create network: ${option} is ${value}, ` +
          `expected a whole number from ${least} to ${most}.`,
      );
    }
    assertStringIncludes(refusalOf({ [option]: "8080" }).message, `${option} is "8080", expected`);
  });
}

Deno.test("checkpoints are made every minute to every week, or never", () => {
  for (const checkpointIntervalMs of [0, 60_000, 604_800_000]) {
    const resolved = resolveOptions({ checkpointIntervalMs }, HOST);
    assertEquals(resolved.checkpointIntervalMs, checkpointIntervalMs);
  }
  for (const checkpointIntervalMs of [-1, 1, 59_999, 604_800_001, NaN]) {
    const { message } = refusalOf({ checkpointIntervalMs });
    assertStringIncludes(message, "expected 0 or a whole number from 60000 to 604800000.");
  }
});

Deno.test("what does not fit is named with its value and with what may stand there", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ name: "" }, 'name is "", expected 1 to 128 characters without control characters'],
    [{ name: "a\u001b[31mb" }, "name is"],
    [{ name: "x".repeat(129) }, "expected 1 to 128 characters"],
    [{ nodeId: "two words" }, 'nodeId is "two words", expected 1 to 63 letters'],
    [{ nodeId: "../../etc" }, "nodeId is"],
    [{ nodeId: "x".repeat(64) }, "nodeId is"],
    [{ nodeId: "" }, 'nodeId is ""'],
    [
      { routingStrategy: "best" },
      'is "best", expected capability-based or least-loaded or latency-aware',
    ],
    [{ discoveryMode: "smoke" }, 'discoveryMode is "smoke", expected "udp", "manual", "tailscale"'],
    [{ discoveryMode: ["udp", "manual"] }, 'discoveryMode is "manual", expected it with'],
    [{ peers: ["http://gpu"] }, "a peer has no scheme"],
    [{ tlsCert: "a.pem" }, "tlsCert, tlsKey and tlsCa belong together"],
    [{ verifyPeers: false }, "verifyPeers is false, and a network with a key always verifies"],
    [{ openAcceptTasks: true }, "openAcceptTasks is for an open network"],
    [{ open: true, tlsCert: "a", tlsKey: "b", tlsCa: "c" }, "to be open, and to have certificates"],
    [{ agents: [agent("a"), agent("b"), agent("a")] }, 'two agents are called "a". Rename one.'],
    [{ deviceCapabilities: { memory: -1 } }, "memory: expected a number of MB"],
    [{ deviceCapabilities: { flops: { fp16: "fast" } } }, "flops.fp16: expected a number"],
  ];
  for (const [options, message] of cases) {
    const error = refusalOf(options);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, message);
    assertMatch(error.message, /^Cannot .*\.$/s);
  }
});

Deno.test("a node leaves its machine unless it was given nothing but the loopback", () => {
  const leaves = (...networkInterfaces: string[]) =>
    leavesMachine(resolveOptions({ networkInterfaces }, HOST));
  assertEquals([leaves(), leaves("eth0"), leaves("lo", "eth0")], [true, true, true]);
  for (const name of ["lo", "lo0", "Loopback Pseudo-Interface 1"]) {
    assertEquals(leaves(name), false);
  }
});

Deno.test("options are copied and frozen: what is changed later changes nothing", () => {
  const agents = [agent("a")];
  const networkInterfaces = ["lo"];
  const deviceCapabilities = { memory: 1_024, flops: { fp16: 1 } };
  const options: NetworkOptions = { agents, networkInterfaces, deviceCapabilities };
  const resolved = resolveOptions(options, HOST);
  agents.push(agent("b"));
  networkInterfaces.push("eth0");
  deviceCapabilities.memory = 1;
  deviceCapabilities.flops.fp16 = 99;
  options.name = "other";
  assertEquals(resolved.agents.map(({ name }) => name), ["a"]);
  assertEquals(resolved.networkInterfaces, ["lo"]);
  assertEquals(resolved.deviceCapabilities, { memory: 1_024, flops: { fp16: 1 } });
  assertEquals(resolved.name, undefined);
  assert(Object.isFrozen(resolved) && Object.isFrozen(resolved.agents));
});

Deno.test("whatever the host is called, its default label is one", () => {
  assertEquals(defaultNodeId("", CHANCE), "node-0042");
  assertEquals(defaultNodeId("---", CHANCE), "node-0042");
  assertEquals(defaultNodeId("Büro Mac.fritz.box", CHANCE), "B-ro-Mac-0042");
  fc.assert(fc.property(
    fc.oneof(anyText(), fc.domain(), fc.string({ minLength: 80 })),
    (name) => assert(isLabel(defaultNodeId(name, CHANCE))),
  ));
});

Deno.test("a range that is none, or not private, is refused when the network is made", async () => {
  await using fleet = new MemoryFleet(201);
  for (
    const [open, message] of [
      ["soon", 'Cannot open to "soon": expected an IPv4 range such as 192.168.1.0/24.'],
      ["8.8.8.0/24", "Cannot open to 8.8.8.0/24: without encryption only private ranges"],
      ["", 'Cannot open to ""'],
    ]
  ) {
    const create = () => fleet.create({ nodeId: "a", open });
    assertStringIncludes(assertThrows(create, NetworkError).message, message);
  }
});

Deno.test("what no peer would take is refused when the network is made, not silently by each peer", async () => {
  await using fleet = new MemoryFleet(202);
  const tooMany = Array.from({ length: 300 }, (_, i) => agent(`agent-${i}`));
  for (
    const [agents, field] of [
      [[agent("a", "x".repeat(5_000))], "agents.3.description"],
      [tooMany, "agents"],
      [
        // Not made by createAgent, which would have refused it.
        [{ ...agent("a"), requirements: { memory: -1 } }],
        "agents.3.requirements.memory",
      ],
    ] as const
  ) {
    const error = assertThrows(() => fleet.create({ nodeId: "a", agents }), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, "Cannot create network: no peer would take");
    assertStringIncludes(error.message, field);
  }
});

Deno.test("an agent of one's own takes the place of the built-in one of that name", async () => {
  await using fleet = new MemoryFleet(203);
  const own = createAgent({ name: "calculator", description: "Mine", run: () => "42" });
  const { network } = await fleet.start({ nodeId: "a", agents: [own] });
  assertEquals(network.agents().map(({ agent }) => [agent.name, agent.description]), [
    ["assistant", network.agents()[0].agent.description],
    ["calculator", "Mine"],
    ["monitor", network.agents()[2].agent.description],
  ]);
  const running = network.run("6 * 9", { initialAgent: "calculator" });
  assertEquals((await fleet.wait(running)).output, "42");
});

Deno.test("what agents may reach is copied, and the assistant's model is a name", () => {
  const allowHosts = ["example.com"];
  const { tools, assistantModel } = resolveOptions(
    { tools: { httpRequest: { allowHosts } }, assistantModel: "llama3.2" },
    HOST,
  );
  allowHosts.push("evil.example");
  assertEquals(tools, { httpRequest: { allowHosts: ["example.com"] } });
  assertEquals(assistantModel, "llama3.2");
  const { code, message } = refusalOf({ assistantModel: "" });
  assertEquals(code, "INVALID_ARGUMENT");
  assertStringIncludes(message, 'assistantModel is "", expected the name of a model');
});
