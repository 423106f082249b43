/** The loop of a network and its journal: what is noted when, and where a run goes on. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type AgentLoop, runLoop } from "../../../src/agents/networks/agent_loop.ts";
import { createRouter, type RouterFunction } from "../../../src/agents/networks/agent_router.ts";
import type { RunJournal, RunProgress } from "../../../src/agents/networks/run_journal.ts";
import type { AgentResult } from "../../../src/agents/run_state.ts";
import { RunStateStore } from "../../../src/agents/run_state_store.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { ScriptedModel } from "../models/scripted_model.ts";

const kept = (agent: string): AgentResult => (
  { agent, nodeId: "n", taskId: "t", output: `${agent} said`, durationMs: 1 }
);

/** Notes everything in the order in which it happens. */
class Rig {
  readonly log: string[] = [];
  readonly state = new RunStateStore();
  /** What the journal waits for. */
  gate: Promise<void> = Promise.resolve();
  fails: NetworkError | undefined;

  journal(progress?: RunProgress): RunJournal {
    const note = async (text: string) => {
      this.log.push(text);
      await this.gate;
    };
    return {
      progress,
      begun: (prompt) => note(`begun ${prompt}`),
      calling: ({ agent, prompt }) => note(`calling ${agent} ${prompt ?? "-"}`),
      failed: (error) => note(`failed ${error.code}`),
      answered: ({ agent }) => note(`answered ${agent}`),
      ended: () => note("ended"),
    };
  }

  run(choose: RouterFunction, journal: RunJournal, hooks: AgentLoop["hooks"] = {}) {
    return runLoop({
      network: "net",
      agents: () => ["a", "b"].map((name) => ({ name, description: "" })),
      initialAgent: undefined,
      router: createRouter(choose),
      maxIterations: 10,
      hooks,
    }, {
      prompt: "Go",
      context: "",
      state: this.state,
      timeoutMs: 1_000,
      signal: undefined,
      clock: new ManualClock(),
      journal,
      emit: (event) => void this.log.push(event.type),
      model: () => new ScriptedModel("never"),
      call: ({ agent, prompt }) => {
        this.log.push(`call ${agent} ${prompt}`);
        if (this.fails !== undefined) return Promise.reject(this.fails);
        return Promise.resolve({ ...kept(agent), attempts: 1, serviceMs: 1, reason: "" });
      },
    });
  }
}

const inTurn: RouterFunction = ({ callCount }) => ["a", { agent: "b", prompt: "B?" }][callCount];

Deno.test("each call is noted before it is made, and each answer before anybody else is asked", async () => {
  const rig = new Rig();
  const result = await rig.run(inTurn, rig.journal());
  assertEquals(rig.log, [
    "begun Go",
    "calling a -",
    "step",
    "call a Go",
    "answered a",
    "step-result",
    "calling b B?",
    "step",
    "call b B?",
    "answered b",
    "step-result",
    "ended",
  ]);
  assertEquals(result.output, "b said");
});

Deno.test("nobody is called as long as that is not durable, and not at all when it cannot be", async () => {
  const rig = new Rig();
  const { promise, reject } = Promise.withResolvers<void>();
  const journal = rig.journal();
  const calling = journal.calling;
  journal.calling = async (call) => {
    await calling(call);
    await promise;
  };
  const running = rig.run(inTurn, journal);
  running.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(rig.log, ["begun Go", "calling a -"]);
  reject(new NetworkError("RESOURCE_EXHAUSTED", "The disk is full."));
  await assertRejects(() => running, NetworkError, "The disk is full.");
  assertEquals(rig.log.length, 2);
});

Deno.test("a run goes on with whom it had asked, and asks its router only for the next", async () => {
  const rig = new Rig();
  const asked: unknown[] = [];
  const routed: number[] = [];
  const progress = { prompt: "Go on", steps: 1, last: kept("a"), calling: undefined };
  const journal = rig.journal({ ...progress, calling: { agent: "b", prompt: "B?" } });
  const result = await rig.run(
    ({ callCount, lastResult, prompt }) => {
      asked.push([callCount, lastResult?.agent, prompt]);
      return callCount === 2 ? "a" : undefined;
    },
    journal,
    {
      onStart: () => assert(false, "it has begun before"),
      onRoute: ({ step }) => void routed.push(step),
    },
  );
  assertEquals(asked, [[2, "b", "Go on"], [3, "a", "Go on"]]);
  assertEquals(routed, [3]);
  assertEquals(rig.log.filter((text) => text.startsWith("call")), [
    "calling b B?",
    "call b B?",
    "calling a -",
    "call a Go on",
  ]);
  assertEquals([result.attempts, rig.state.agentResults.length], [2, 2]);
});

Deno.test("a run that lacks only its end has the last answer", async () => {
  const rig = new Rig();
  const progress = { prompt: "Go", steps: 2, last: kept("b"), calling: undefined };
  const { output, attempts, stoppedBy } = await rig.run(inTurn, rig.journal(progress));
  assertEquals([output, attempts, stoppedBy, rig.log], ["b said", 0, "router", ["ended"]]);
});

Deno.test("a router is told no last answer before the first one, whatever the state brings", async () => {
  const rig = new Rig();
  rig.state.addResult(kept("b"));
  const last: unknown[] = [];
  await rig.run(({ callCount, lastResult }) => {
    last.push(lastResult?.agent);
    return callCount === 0 ? "a" : undefined;
  }, rig.journal());
  assertEquals(last, [undefined, "a"]);
});

Deno.test("what a call fails with is noted; what a hook fails with afterwards is not the agent's", async () => {
  const rig = new Rig();
  rig.fails = new NetworkError("AGENT_FAILED", "no");
  await assertRejects(() => rig.run(inTurn, rig.journal()), NetworkError, "no");
  assertEquals(rig.log.at(-1), "failed AGENT_FAILED");
  rig.fails = undefined;
  rig.log.length = 0;
  const hooks = {
    onResponse: () => {
      throw new Error("hook");
    },
  };
  await assertRejects(() => rig.run(inTurn, rig.journal(), hooks), NetworkError, "hook");
  assertEquals(rig.log.at(-1), "call a Go");
});
