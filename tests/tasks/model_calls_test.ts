/** Calls of models at an executor, and at a dispatcher that sees devices as such calls do. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { Cancellation } from "../../src/base/cancellation.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import type { Candidate } from "../../src/routing/candidate.ts";
import { NO_SERVICE_TIMES, type ServiceTimes } from "../../src/routing/expectation.ts";
import { Circuits } from "../../src/tasks/circuits.ts";
import { Executor, HERE } from "../../src/tasks/executor.ts";
import type { RunRequest } from "../../src/tasks/run_request.ts";
import type { AttemptEvent, Served, Task } from "../../src/tasks/task.ts";
import { Fleet } from "../support/task_fleet.ts";
import { heldAgent, task } from "../support/task_rig.ts";

/** An executor with one slot, whose agents and whose engines the test answers for. */
class Rig {
  readonly clock = new ManualClock();
  readonly held = heldAgent();
  readonly engine = heldAgent({ name: "engine" });
  readonly executor: Executor;
  readonly events: AttemptEvent[] = [];

  constructor(engineAgent = this.engine.agent) {
    this.executor = new Executor({
      nodeId: "here",
      clock: this.clock,
      slots: 1,
      agents: new Map([["held", this.held.agent]]),
      engineAgent,
      modelOf: (context) => context,
      ask: () => Promise.reject(new Error("Nobody is here to ask.")),
      sendToModel: () => Promise.reject(new Error("No model is here to ask.")),
    });
  }

  give(overrides: Partial<Task> = {}, cancellation = new Cancellation()): Promise<Served> {
    const given = task({ agent: "engine", context: "m", ...overrides });
    const emit = (event: AttemptEvent) => void this.events.push(event);
    const served = Promise.try(() => this.executor.execute(given, emit, cancellation, "caller"));
    served.catch(() => {});
    return served;
  }

  get load(): { running: number; queued: number; modelCalls: number } {
    const { running, queued, modelCalls } = this.executor;
    return { running, queued, modelCalls };
  }
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "ok", (error: NetworkError) => error.code);
}

Deno.test("calls of models take no slot, and wait for none", async () => {
  const rig = new Rig();
  const running = rig.give({ agent: "held" });
  const waiting = rig.give({ agent: "held" });
  const calls = [rig.give(), rig.give(), rig.give()];
  await rig.clock.advance(0);
  assertEquals(rig.load, { running: 1, queued: 1, modelCalls: 3 });
  assertEquals([rig.held.runs.length, rig.engine.runs.length], [1, 3]);
  assertEquals(
    rig.executor.tasks().map(({ state, agent, model }) => [state, agent, model]),
    [
      ["running", "held", undefined],
      ...calls.map(() => ["running", "engine", "m"]),
      ["waiting", "held", undefined],
    ],
  );
  // That one ends makes no slot free.
  rig.engine.runs[0].answer("said");
  assertEquals((await calls[0]).output, "said");
  assertEquals(rig.load, { running: 1, queued: 1, modelCalls: 2 });
  rig.held.runs[0].answer("done");
  await running;
  await rig.clock.advance(0);
  assertEquals(rig.load, { running: 1, queued: 0, modelCalls: 2 });
  rig.held.runs[1].answer("done");
  for (const { answer } of rig.engine.runs) answer("said");
  await Promise.all([waiting, ...calls]);
  assertEquals(rig.load, { running: 0, queued: 0, modelCalls: 0 });
});

Deno.test("so many calls of models are taken, and one more when one has ended", async () => {
  const rig = new Rig();
  const calls = Array.from({ length: 256 }, () => rig.give());
  const refused: NetworkError = await rig.give().then(() => undefined, (error) => error);
  assertEquals([refused.code, refused.retryAfterMs], ["RESOURCE_EXHAUSTED", 1_000]);
  assertStringIncludes(refused.message, "256 calls of models are under way");
  // Agents have their own room.
  const other = rig.give({ agent: "held" });
  await rig.clock.advance(0);
  rig.engine.runs[7].fail(new NetworkError("UNAVAILABLE", "the engine is gone"));
  assertEquals(await codeOf(calls[7]), "UNAVAILABLE");
  const next = rig.give();
  await rig.clock.advance(0);
  for (const { answer } of [...rig.engine.runs, ...rig.held.runs]) answer("said");
  assertEquals((await Promise.all([next, other])).map(({ output }) => output), ["said", "said"]);
});

Deno.test("until an engine has said something nothing has begun, and its failure is told as it is", async () => {
  const rig = new Rig();
  const whole = rig.give();
  await rig.clock.advance(0);
  assertEquals(rig.events, []);
  rig.engine.runs[0].fail(new NetworkError("NOT_FOUND", "no such model"));
  assertEquals([await codeOf(whole), rig.events], ["NOT_FOUND", []]);
  // What an agent's own code throws is its own failure, whatever it calls it.
  const agent = rig.give({ agent: "held" });
  await rig.clock.advance(0);
  rig.held.runs[0].fail(new NetworkError("NOT_FOUND", "no such file"));
  assertEquals(await codeOf(agent), "AGENT_FAILED");

  const speaking = new Rig(createAgent({
    name: "engine",
    description: "",
    run: async function* () {
      yield "once";
      await Promise.resolve();
      throw new NetworkError("UNAVAILABLE", "it died");
    },
  }));
  assertEquals(await codeOf(speaking.give()), "UNAVAILABLE");
  assertEquals(speaking.events, [{ type: "started" }, { type: "token", text: "once" }]);
});

Deno.test("a node that stops waits for its calls of models, and takes no more", async () => {
  const rig = new Rig();
  const call = rig.give();
  let isIdle = false;
  const idle = rig.executor.drain().then(() => isIdle = true);
  await rig.clock.advance(0);
  assertEquals([isIdle, await codeOf(rig.give())], [false, "FAILED_PRECONDITION"]);
  // What a task that is finished here asks belongs to it.
  const own = Promise.resolve(
    rig.executor.execute(task({ agent: "engine", hops: 1 }), () => {}, new Cancellation(), HERE),
  );
  rig.engine.runs[0].answer("said");
  await call;
  assertEquals(isIdle, false);
  await rig.clock.advance(0);
  rig.engine.runs[1].answer("said");
  await own;
  await idle;
});

Deno.test("a call of a model ends when it is cancelled, out of time, or the node stops", async () => {
  const rig = new Rig();
  const cancellation = new Cancellation();
  const taken = rig.give({}, cancellation);
  const late = rig.give({ timeoutMs: 1_000 });
  const last = rig.give();
  const named = rig.give({ taskId: "01JDAAAAAAAAAAAAAAAAAAAAAA" });
  await rig.clock.advance(0);
  // As the engine's agent does.
  for (const { context: { signal }, fail } of rig.engine.runs) {
    signal.addEventListener("abort", () => fail(signal.reason));
  }
  cancellation.cancel(new NetworkError("CANCELLED", "enough"));
  assertEquals(await codeOf(taken), "CANCELLED");
  assert(rig.executor.cancel("01JDAAAAAAAAAAAAAAAAAAAAAA", new NetworkError("CANCELLED", "")));
  assertEquals(await codeOf(named), "CANCELLED");
  await rig.clock.advance(1_000);
  assertEquals(await codeOf(late), "DEADLINE_EXCEEDED");
  rig.executor.abort(new NetworkError("UNKNOWN_OUTCOME", "the node stops"));
  assertEquals(await codeOf(last), "UNKNOWN_OUTCOME");
  assertEquals(rig.load, { running: 0, queued: 0, modelCalls: 0 });
});

const MODEL = {
  loaded: false,
  lastResort: false,
  sizeBytes: null,
  contextLength: null,
  width: 1,
};

/** What a call of the model `m` sees: devices whose `pending` the test says. */
function view(
  fleet: Fleet,
  pending: Record<string, number> = {},
  times: ServiceTimes = NO_SERVICE_TIMES,
): NonNullable<RunRequest["view"]> {
  const circuits = new Circuits(fleet.clock);
  return {
    model: "m",
    times,
    circuits,
    candidates: (devices) =>
      devices.map((device): Candidate => ({
        ...device,
        models: new Map([["m", MODEL]]),
        pending: pending[device.nodeId] ?? 0,
        currentLoad: pending[device.nodeId] ?? 0,
        isDoubtful: circuits.isDoubtful(device.nodeId),
      })),
  };
}

Deno.test("a call of a model is routed by what it sees of devices, and not by their slots", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.run({ view: view(fleet, { a: 40 }) });
  const { task: { agent } } = await fleet.ask("b");
  assertEquals([agent, fleet.told()], ["held", ["routed b"]]);
  const [{ model }] = fleet.dispatcher.history.goesOn();
  assertEquals(model, "m");
  (await fleet.ask("b")).answer({ output: "said" });
  await fleet.settle();
  assertEquals(fleet.dispatcher.history.recent()[0].model, "m");
  assertStringIncludes(
    fleet.dispatcher.history.recent()[0].reason,
    "the answer is done first there (10 TFLOPS, not loaded, 0 calls under way",
  );
});

Deno.test("what a call of a model takes says nothing of agents, and its failures nothing of their devices", async () => {
  const fleet = new Fleet(["a", "b"]);
  const seen = view(fleet);
  for (let i = 0; i < 3; i++) {
    const outcome = fleet.run({ view: seen, nodeId: "a" });
    (await fleet.ask("a")).fail("UNAVAILABLE");
    await fleet.settle();
    assertEquals(outcome.error?.code, "UNAVAILABLE");
    await fleet.clock.advance(1);
  }
  assertEquals([seen.circuits.isDoubtful("a"), fleet.circuits.isDoubtful("a")], [true, false]);
  fleet.run({ view: seen });
  (await fleet.ask("b")).answer({ output: "said" });
  const agent = fleet.run();
  (await fleet.ask("a")).answer({ output: "done" });
  await fleet.settle();
  assertStringIncludes(agent.result!.reason, "heavy work finishes first there (100 TFLOPS");
});

Deno.test("an engine that fails before its first word has a stand-in, and the error names the model", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run({ view: view(fleet) });
  (await fleet.ask("a")).fail("UNAVAILABLE", "the engine is gone");
  (await fleet.ask("b")).fail("NOT_FOUND", "no such model");
  await fleet.settle();
  assertEquals(outcome.error?.message, "no such model");

  const lost = fleet.run({ view: view(fleet), nodeId: "a" });
  (await fleet.ask("a")).say({ type: "token", text: "once" });
  (await fleet.ask("a")).fail("UNKNOWN_OUTCOME");
  await fleet.settle();
  assertEquals(
    lost.error?.message,
    'Node "a" was lost while it asked model "m"; part of its answer had come already. Ask again.',
  );
  const none = fleet.run({ view: { ...view(fleet), candidates: () => [] } });
  await fleet.settle();
  assertStringIncludes(none.error!.message, 'Cannot ask model "m": no device can do it now.');
});
