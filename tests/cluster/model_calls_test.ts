/** Calls of models in whole networks in memory: where each goes, and what becomes of it there. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { NetworkError } from "../../src/base/errors.ts";
import { conversationKeys } from "../../src/network/models/conversations.ts";
import type { RawModelAnswer, RawModelCall } from "../../src/network/models/model_calls.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import {
  CLOCKED_URL,
  ClockedEngine,
  type ClockedEngineOptions,
} from "../support/engines/clocked_engine.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";

const LAST_RESORT = `${CLOCKED_URL}#last-resort=true`;

/** A node with an engine. */
async function withEngine(
  fleet: MemoryFleet,
  nodeId: string,
  engine: ClockedEngineOptions = {},
  options: NetworkOptions = {},
): Promise<MemoryNode & { engine: ClockedEngine }> {
  const clocked = new ClockedEngine(fleet.clock, engine);
  const node = await fleet.start({ nodeId, engines: [CLOCKED_URL], ...options }, {
    platform: clocked.platform,
  });
  return { ...node, engine: clocked };
}

/** What was said, in order. */
interface Turn {
  role: string;
  content: string;
}

const user = (content: string): Turn => ({ role: "user", content });

/** A call, as the gateway makes it. */
function call(node: MemoryNode, {
  model = "m",
  messages = [user("hi")],
  stream = true,
  ...rest
}: Partial<RawModelCall> & { messages?: Turn[] } = {}): Promise<RawModelAnswer> {
  const body = { model, stream, messages: messages as never };
  return node.network.callModel({
    dialect: "openai-chat",
    model,
    stream,
    body: JSON.stringify(body),
    conversation: conversationKeys(body),
    ...rest,
  });
}

/** Calls, and reads the answer to its end: the node that gave it, and what it said. */
async function answered(
  node: MemoryNode,
  options: Parameters<typeof call>[1] = {},
): Promise<{ nodeId: string; text: string; status: number; model: string }> {
  const { nodeId, status, model, body } = await call(node, options);
  if (typeof body === "string") return { nodeId, text: body, status, model };
  let text = "";
  for await (const piece of body) text += piece;
  return { nodeId, text, status, model };
}

function failure(promise: Promise<unknown>): Promise<NetworkError> {
  return promise.then(() => {
    throw new Error("It did not fail.");
  }, (error) => error);
}

/** How often each node answered. */
function counts(answers: readonly { nodeId: string }[]): Record<string, number> {
  const all = Map.groupBy(answers, ({ nodeId }) => nodeId);
  return Object.fromEntries([...all].map(([nodeId, some]) => [nodeId, some.length]));
}

const recent = ({ network }: MemoryNode) =>
  network.getNetworkStatus({ explain: true }).recentTasks[0];

Deno.test("a call goes to the node that has the model in memory, and says why", async () => {
  await using fleet = new MemoryFleet(601);
  const a = await fleet.start({ nodeId: "a" });
  await withEngine(fleet, "cold", { loaded: [] });
  await withEngine(fleet, "warm");
  await fleet.advance(500);
  for (const stream of [true, false]) {
    const { nodeId, text, status } = await fleet.wait(
      answered(a, { stream, messages: [user(`${stream}`)] }),
    );
    assertEquals([nodeId, status], ["warm", 200]);
    assertStringIncludes(text, "10 ");
  }
  const { agent, model, reason, considered } = recent(a);
  assertEquals([agent, model], ["hanzo.model", "m"]);
  assertMatch(reason, /^the answer is done first there \(.* TFLOPS, loaded, 0 calls under way/);
  assertEquals(considered?.map(({ nodeId, place }) => [nodeId, place]), [
    ["warm", 1],
    ["cold", 2],
    ["a", null],
  ]);
  assertMatch(considered![1].reason, /, not loaded, 0 calls under way, done in about 10 s$/);
  assertEquals(considered![2].reason, "does not have the model m");
});

Deno.test("two nodes with equal engines share a burst, from one caller and from several", async () => {
  for (const callers of [1, 3]) {
    await using fleet = new MemoryFleet(602 + callers);
    const asking: MemoryNode[] = [];
    for (let i = 0; i < callers; i++) asking.push(await fleet.start({ nodeId: `a${i}` }));
    const b = await withEngine(fleet, "b");
    const c = await withEngine(fleet, "c");
    await fleet.advance(500);
    // What each has asked before is known of both.
    for (const node of asking) {
      for (const nodeId of ["b", "c"]) await fleet.wait(answered(node, { nodeId }));
    }
    const burst: Promise<{ nodeId: string }>[] = [];
    for (let i = 0; i < 24; i++) {
      burst.push(answered(asking[i % callers], { messages: [user(`${i}`)] }));
      // From several callers they come a link's way after each other.
      if (callers > 1) await fleet.advance(2);
    }
    const { b: atB = 0, c: atC = 0 } = counts(await fleet.wait(Promise.all(burst)));
    assertEquals(atB + atC, 24);
    assert(Math.abs(atB - atC) <= (callers === 1 ? 2 : 6), `${atB} and ${atC}`);
    assert(Math.max(b.engine.mostBusy, c.engine.mostBusy) <= 16);
  }
});

Deno.test("a conversation goes back to its node while that is free, and elsewhere when it is busy", async () => {
  await using fleet = new MemoryFleet(610);
  const a = await fleet.start({ nodeId: "a" });
  for (const nodeId of ["b", "c", "d"]) await withEngine(fleet, nodeId);
  await fleet.advance(500);
  const conversation = async (topic: string, turns: number) => {
    const messages = [user(topic)];
    const nodes: string[] = [];
    for (let i = 0; i < turns; i++) {
      const { nodeId } = await fleet.wait(answered(a, { messages: [...messages] }));
      nodes.push(nodeId);
      messages.push({ role: "assistant", content: `answer ${i}` }, user(`and ${i}?`));
    }
    return { nodes, messages };
  };
  const starts = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const { nodes } = await conversation(`topic ${i}`, 4);
    assertEquals(new Set(nodes).size, 1, `topic ${i} went to ${nodes}`);
    starts.add(nodes[0]);
  }
  assert(starts.size > 1, "all began at the same node");
  const { nodes: [home], messages } = await conversation("the last", 2);
  assertEquals(recent(a).reason.split(" (")[0], "the conversation was there, and it is free");

  const busy = answered(a, { nodeId: home, messages: [user("something else")] });
  await fleet.advance(10);
  const { nodeId } = await fleet.wait(answered(a, { messages }));
  assert(nodeId !== home, "it waited behind another one");
  const away = recent(a).considered!.find((one) => one.nodeId === home)!;
  assertStringIncludes(away.reason, "1 call under way, 1 at a time: it waits");
  await fleet.wait(busy);
});

Deno.test("the node that answers faster gets more, by what was measured, and the list shows it", async () => {
  await using fleet = new MemoryFleet(611);
  const a = await fleet.start({ nodeId: "a" });
  const fast = await withEngine(fleet, "fast", { tokenMs: 5 });
  const slow = await withEngine(fleet, "slow", { tokenMs: 20, firstTokenMs: 400 });
  await fleet.advance(500);
  for (const nodeId of ["fast", "slow"]) await fleet.wait(answered(a, { nodeId }));
  const [{ devices }] = a.network.models();
  const measured = devices.map(({ nodeId, firstTokenMs, tokensPerSecond }) => [
    nodeId,
    Math.round(firstTokenMs!),
    Math.round(tokensPerSecond!),
  ]);
  assertEquals(measured, [["fast", 100, 200], ["slow", 400, 50]]);
  let asked = 0;
  const one = () => answered(a, { messages: [user(`${asked++}`)] });
  const inTurn: { nodeId: string }[] = [];
  for (let i = 0; i < 6; i++) inTurn.push(await fleet.wait(one()));
  assertEquals(counts(inTurn), { fast: 6 });
  // Four times as fast with each answer: of many at once it gets about four of five.
  const many = counts(await fleet.wait(Promise.all(Array.from({ length: 20 }, one))));
  assert(many.fast >= 13 && many.slow >= 2, JSON.stringify(many));
  assertEquals(fast.engine.asked + slow.engine.asked, 28);
});

Deno.test("whoever dies before the first token has a stand-in, and the client notices nothing", async () => {
  await using fleet = new MemoryFleet(612);
  const a = await fleet.start({ nodeId: "a" });
  const flops = (fp16: number) => ({
    deviceCapabilities: { flops: { fp16, fp32: null, int8: null } },
  });
  const b = await withEngine(fleet, "b", {}, flops(100));
  const c = await withEngine(fleet, "c", { tokenMs: 50 }, flops(10));
  await fleet.advance(500);
  for (const stream of [true, false]) {
    for (const fault of [{ status: 500 }, { status: 429 }, { status: 404 }, { afterTokens: 0 }]) {
      b.engine.faults.push(fault);
      const { nodeId, text } = await fleet.wait(
        answered(a, { stream, messages: [user(JSON.stringify(fault) + stream)] }),
      );
      assertEquals(nodeId, "c");
      assertStringIncludes(text, "10 ");
      const { nodeIds, outcome } = recent(a);
      assertEquals([nodeIds, outcome], [["b", "c"], "ok"]);
      // Its circuit is closed again, and what it took is forgotten.
      await fleet.wait(answered(a, { nodeId: "b" }));
    }
  }
  const asked = c.engine.asked;
  const dying = answered(a, { messages: [user("the node itself")] });
  await fleet.advance(20);
  assertEquals(b.engine.busy + c.engine.busy, 1);
  const [at, other] = b.engine.busy === 1 ? [b, c] : [c, b];
  fleet.kill(at);
  const { nodeId } = await fleet.wait(dying);
  assertEquals(nodeId, other.network.nodeId);
  assert(c.engine.asked > asked);
});

Deno.test("after the first token there is no stand-in: the stream ends with an error that says so", async () => {
  await using fleet = new MemoryFleet(613);
  const a = await fleet.start({ nodeId: "a" });
  const b = await withEngine(fleet, "b");
  const c = await withEngine(fleet, "c");
  await fleet.advance(500);
  b.engine.faults.push({ afterTokens: 3 });
  const { nodeId, body } = await fleet.wait(call(a, { nodeId: "b" }));
  assertEquals(nodeId, "b");
  const dies = await fleet.wait(failure(Array.fromAsync(body as AsyncGenerator<string>)));
  assertEquals([dies.code, c.engine.asked], ["UNAVAILABLE", 0]);
  assertStringIncludes(dies.message, 'model "m" of ollama');

  const lost = await fleet.wait(call(a));
  const pieces = lost.body as AsyncGenerator<string>;
  assertStringIncludes((await fleet.wait(pieces.next())).value, "0 ");
  fleet.kill(lost.nodeId === "b" ? b : c);
  const error = await fleet.wait(failure(Array.fromAsync(pieces)));
  assertEquals(error.code, "UNAVAILABLE");
  assertMatch(error.message, /model "m": its node was lost in the middle of it. Ask again/);
});

Deno.test("after three failures a model is asked elsewhere, and other models of that node are not", async () => {
  await using fleet = new MemoryFleet(614);
  const a = await fleet.start({ nodeId: "a" });
  const fast = { deviceCapabilities: { flops: { fp16: 100, fp32: null, int8: null } } };
  const b = await withEngine(fleet, "b", { models: ["m", "n"] }, fast);
  await withEngine(fleet, "c", { models: ["m", "n"] });
  await fleet.advance(500);
  for (let i = 0; i < 3; i++) {
    b.engine.faults.push({ status: 500 });
    const { code } = await fleet.wait(failure(answered(a, { nodeId: "b" })));
    assertEquals(code, "UNAVAILABLE");
    await fleet.advance(10);
  }
  const asked = b.engine.asked;
  const both = [await fleet.wait(answered(a)), await fleet.wait(answered(a, { model: "n" }))];
  assertEquals(both.map(({ nodeId }) => nodeId), ["c", "b"]);
  assertEquals(b.engine.asked, asked + 1);
  await fleet.wait(answered(a));
  const doubted = recent(a).considered!.find(({ nodeId }) => nodeId === "b")!;
  assertStringIncludes(doubted.reason, "failed lately");
  // After a while it may try again.
  await fleet.advance(2_000);
  await fleet.wait(answered(a, { nodeId: "b" }));
  assertEquals((await fleet.wait(answered(a, { messages: [user("later")] }))).nodeId, "b");
});

Deno.test("what is long goes where the model takes so much, and what is long only by its pictures does not", async () => {
  await using fleet = new MemoryFleet(615);
  const a = await fleet.start({ nodeId: "a" });
  const fast = { deviceCapabilities: { flops: { fp16: 100, fp32: null, int8: null } } };
  const b = await withEngine(fleet, "short", { kind: "vllm", contextLength: 4_096 }, fast);
  await withEngine(fleet, "long", { kind: "vllm", contextLength: 32_768, tokenMs: 50 });
  await fleet.advance(500);
  const where = async (content: string, nodeId?: string) =>
    (await fleet.wait(answered(a, { messages: [user(content)], nodeId }))).nodeId;
  assertEquals(await where("short"), "short");
  assertEquals(await where("word ".repeat(10_000)), "long");
  assertMatch(
    recent(a).considered!.find(({ nodeId }) => nodeId === "short")!.reason,
    /^has 4096 tokens of context, 125\d\d are needed$/,
  );
  assertEquals(await where(`data:image/png;base64,${"iVBOR".repeat(10_000)}`), "short");
  assertEquals(await where(`data:image/png;base64,${"iVBOR".repeat(1_500_000)}`), "short");
  // Too long for all: an engine is to say so, and the one that was asked for, too.
  assertEquals(await where("word ".repeat(100_000)), "short");
  assertEquals(await where("word ".repeat(10_000), "short"), "short");
  assertEquals(b.engine.asked, 5);
});

Deno.test("what is somebody else's is asked only when nobody else has it, however long and busy", async () => {
  await using fleet = new MemoryFleet(616);
  const a = await fleet.start({ nodeId: "a" });
  const vllm = { kind: "vllm", contextLength: 4_096 } as const;
  const cloud = await withEngine(
    fleet,
    "cloud",
    { ...vllm, models: ["m", "big"], contextLength: 128_000 },
    { engines: [LAST_RESORT] },
  );
  const own = await withEngine(fleet, "own", { ...vllm, firstTokenMs: 5_000 });
  await fleet.advance(500);
  const long = "word ".repeat(10_000);
  const calls = Array.from(
    { length: 40 },
    (_, i) => answered(a, { messages: [user(i === 0 ? long : `${i}`)] }),
  );
  assertEquals(counts(await fleet.wait(Promise.all(calls))), { own: 40 });
  assertEquals(cloud.engine.asked, 0);

  assertEquals((await fleet.wait(answered(a, { model: "big" }))).nodeId, "cloud");
  assertEquals(
    recent(a).reason,
    "the last resort: no other device that can be asked has the model",
  );
  await fleet.wait(own.network.stop({ drainMs: 0 }));
  assertEquals((await fleet.wait(answered(a))).nodeId, "cloud");
});

Deno.test("the next name that was given is asked when the one before cannot be", async () => {
  await using fleet = new MemoryFleet(617);
  const a = await fleet.start({ nodeId: "a", modelAliases: { fast: ["m", "n"] } });
  const b = await withEngine(fleet, "b");
  await withEngine(fleet, "c", { models: ["n"] });
  await fleet.advance(500);
  const asked = async (model: string) => (await fleet.wait(answered(a, { model }))).model;
  assertEquals([await asked("nobody, n, m"), await asked("fast"), await asked("m")], [
    "n",
    "m",
    "m",
  ]);
  b.engine.options.firstTokenMs = 0;
  b.engine.faults.push(...Array.from({ length: 3 }, () => ({ status: 500 })));
  assertEquals(await asked("fast"), "n");
  const none = await fleet.wait(failure(answered(a, { model: "nobody" })));
  assertEquals(none.code, "NOT_FOUND");
  assertStringIncludes(none.message, "There are: m, n.");
  const long = await fleet.wait(failure(answered(a, { model: "x".repeat(2_000) })));
  assertEquals(long.code, "INVALID_ARGUMENT");
  const nowhere = await fleet.wait(failure(answered(a, { nodeId: "z" })));
  assertMatch(nowhere.message, /^Cannot ask model "m" on "z": no such node is here now/);
  const notThere = await fleet.wait(failure(answered(a, { nodeId: "c" })));
  assertEquals(
    notThere.message,
    'Cannot ask model "m" on "c": that node does not have it, and these do: b. ' +
      "See: hanzo-network models",
  );
});

Deno.test("a call has one deadline for all that are asked, and says so in its own words", async () => {
  await using fleet = new MemoryFleet(618);
  const a = await fleet.start({ nodeId: "a" });
  const b = await withEngine(fleet, "b", { models: ["m", "n"], firstTokenMs: 3_600_000 });
  await fleet.advance(500);
  const began = fleet.clock.now();
  const error = await fleet.wait(failure(answered(a, { model: "m, n", timeoutMs: 2_000 })));
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(error.message, 'model "m": its answer was not done within 2 s');
  assert(fleet.clock.now() - began < 2_500);
  await fleet.advance(10);
  assertEquals([b.engine.cancelled, b.engine.busy], [1, 0]);
});

Deno.test("who leaves stops the engine: before a word, in the middle, and without having read one", async () => {
  await using fleet = new MemoryFleet(619);
  const a = await fleet.start({ nodeId: "a" });
  const b = await withEngine(fleet, "b", { tokens: 1_000 });
  await fleet.advance(500);
  const controller = new AbortController();
  const waiting = failure(call(a, { signal: controller.signal }));
  await fleet.advance(10);
  controller.abort();
  assertEquals((await fleet.wait(waiting)).code, "CANCELLED");
  await fleet.advance(10);
  assertEquals([b.engine.cancelled, b.engine.busy], [1, 0]);

  const { body: read } = await fleet.wait(call(a));
  const pieces = read as AsyncGenerator<string>;
  await fleet.wait(pieces.next());
  await pieces.return(undefined);
  await fleet.advance(10);
  assertEquals(b.engine.busy, 0);

  const { body: unread } = await fleet.wait(call(a));
  await (unread as AsyncGenerator<string>).return(undefined);
  await fleet.advance(10);
  assertEquals(b.engine.busy, 0);
  assertEquals(a.network.getNetworkStatus().tasks, []);
});

Deno.test("tasks that call a model tell which, where they run and where they were asked for", async () => {
  await using fleet = new MemoryFleet(620);
  const a = await fleet.start({ nodeId: "a" });
  const b = await withEngine(fleet, "b");
  await fleet.advance(500);
  const asked = answered(a);
  await fleet.advance(20);
  for (const { network } of [a, b]) {
    const [{ model, nodeId, caller }] = network.getNetworkStatus().tasks;
    assertEquals([model, nodeId, caller], ["m", "b", "a"]);
  }
  assertEquals(b.network.getNetworkStatus().activeTasks, 0);
  await fleet.wait(asked);
});
