/** Many prompts, so many at a time: order, failures, full devices, and who reads slowly. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createAgent, describeAgent } from "../../src/agents/agent.ts";
import type { RunResult } from "../../src/agents/run_event.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import {
  firstOf,
  type MapItem,
  type MapProgress,
  mapPrompts,
  type MapPromptsOptions,
  type Prompts,
  usualConcurrency,
} from "../../src/tasks/map_prompts.ts";
import type { AgentTimes } from "../../src/routing/expectation.ts";
import { device } from "../support/candidates.ts";
import { WatchedClock } from "../support/watched_clock.ts";

/** A run that the test ends. */
interface HeldRun {
  readonly prompt: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  answer(): void;
  fail(code: ErrorCode, retryAfterMs?: number): void;
}

/** A map whose runs the test ends, and what it has told so far. */
class Rig {
  readonly clock = new WatchedClock();
  readonly runs: HeldRun[] = [];
  readonly items: MapItem[] = [];
  readonly progress: MapProgress[] = [];
  error: unknown;
  isDone = false;

  map(prompts: Prompts, options: Partial<MapPromptsOptions> = {}): AsyncGenerator<MapItem> {
    return mapPrompts(prompts, {
      clock: this.clock,
      random: seededRandom(1),
      concurrency: () => 2,
      order: "input",
      timeoutMs: 10_000,
      onProgress: (progress) => this.progress.push(progress),
      run: (prompt, timeoutMs, signal) => {
        const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        this.runs.push({
          prompt,
          timeoutMs,
          signal,
          answer: () => resolve(resultOf(prompt)),
          fail: (code, retryAfterMs) => reject(new NetworkError(code, code, { retryAfterMs })),
        });
        return promise;
      },
      ...options,
    });
  }

  /** Reads all that it tells. */
  async start(prompts: Prompts, options: Partial<MapPromptsOptions> = {}): Promise<void> {
    const items = this.map(prompts, options);
    (async () => {
      try {
        for await (const item of items) this.items.push(item);
      } catch (thrown) {
        this.error = thrown;
      }
      this.isDone = true;
    })();
    await this.settle();
  }

  /** The last run of this prompt. */
  run(prompt: string): HeldRun {
    const run = this.runs.findLast((run) => run.prompt === prompt);
    assert(run !== undefined, `${prompt} does not run`);
    return run;
  }

  async answer(...prompts: string[]): Promise<void> {
    for (const prompt of prompts) {
      this.run(prompt).answer();
      await this.settle();
    }
  }

  begun(): string[] {
    return this.runs.map(({ prompt }) => prompt);
  }

  /** The items in short: `"0 A"`, `"1 AGENT_FAILED"`. */
  told(): string[] {
    return this.items.map((item) =>
      `${item.index} ${"result" in item ? item.result.output : item.error.code}`
    );
  }

  settle(): Promise<void> {
    return this.clock.advance(0);
  }
}

function resultOf(prompt: string): RunResult {
  const base = { taskId: "", agent: "x", nodeId: "a", attempts: 1, durationMs: 0, serviceMs: 0 };
  return { ...base, output: prompt.toUpperCase(), reason: "" };
}

Deno.test("items are told in the order of the prompts, so many run at a time, and the next begins when one ends", async () => {
  const rig = new Rig();
  await rig.start(["a", "b", "c", "d"]);
  assertEquals(rig.begun(), ["a", "b"]);
  await rig.answer("b");
  assertEquals([rig.begun(), rig.told()], [["a", "b", "c"], []]);
  await rig.answer("c", "a");
  assertEquals([rig.begun(), rig.told()], [["a", "b", "c", "d"], ["0 A", "1 B", "2 C"]]);
  await rig.answer("d");
  assertEquals([rig.told().at(-1), rig.isDone, rig.error], ["3 D", true, undefined]);
});

Deno.test("by completion, items are told as they come", async () => {
  const rig = new Rig();
  await rig.start(["a", "b", "c"], { order: "completion" });
  await rig.answer("b", "c", "a");
  assertEquals(rig.told(), ["1 B", "2 C", "0 A"]);
  assertEquals(rig.isDone, true);
});

Deno.test("what fails is told in its place and stops no other", async () => {
  const rig = new Rig();
  await rig.start(["a", "b", "c"]);
  rig.run("a").fail("AGENT_FAILED");
  // Without a time to come again it is no refusal: the prompt is too long.
  rig.run("b").fail("RESOURCE_EXHAUSTED");
  await rig.settle();
  await rig.answer("c");
  assertEquals(rig.told(), ["0 AGENT_FAILED", "1 RESOURCE_EXHAUSTED", "2 C"]);
  assertEquals(rig.items.map(({ prompt }) => prompt), ["a", "b", "c"]);
  assertEquals([rig.isDone, rig.error], [true, undefined]);
});

Deno.test("a refusal is waited for within the prompt's time, and nothing is left ticking", async () => {
  const rig = new Rig();
  await rig.start(["a"]);
  rig.run("a").fail("RESOURCE_EXHAUSTED", 1_000);
  await rig.clock.advance(999);
  assertEquals(rig.runs.length, 1);
  await rig.clock.advance(501);
  assertEquals(rig.runs.length, 2);
  assert(rig.runs[1].timeoutMs <= 9_000 && rig.runs[1].timeoutMs >= 8_500);
  await rig.answer("a");
  assertEquals([rig.told(), rig.clock.pending], [["0 A"], 0]);
});

Deno.test("those that are refused together do not come back together", async () => {
  const rig = new Rig();
  await rig.start(["a", "b"]);
  for (const run of rig.runs) run.fail("RESOURCE_EXHAUSTED", 1_000);
  await rig.clock.advance(1_500);
  const [, , first, second] = rig.runs;
  assert(first.timeoutMs !== second.timeoutMs);
});

Deno.test("who is refused until the time is up has exceeded its deadline, not failed at a full network", async () => {
  const rig = new Rig();
  await rig.start(["a"]);
  while (!rig.isDone) {
    rig.run("a").fail("RESOURCE_EXHAUSTED", 3_000);
    await rig.clock.advance(1_000);
  }
  assertEquals(rig.told(), ["0 DEADLINE_EXCEEDED"]);
  assertEquals(rig.clock.now(), 10_000);
  const [item] = rig.items;
  assert("error" in item);
  assertStringIncludes(item.error.message, "10000 ms");
});

Deno.test("prompts are read no faster than they are worked off, from a generator, too", async () => {
  let read = 0;
  let closed = false;
  async function* prompts() {
    try {
      for (;;) yield `p${read++}`;
    } finally {
      closed = true;
      await Promise.resolve();
    }
  }
  const rig = new Rig();
  const items = rig.map(prompts());
  assertEquals(read, 0, "nothing happens before somebody reads");
  const first = items.next();
  await rig.settle();
  assertEquals(read, 2);
  await rig.answer("p0");
  assertEquals((await first).value?.index, 0);
  // Nobody reads on: what is ready stays below what may run at a time.
  for (let i = 1; i < 10; i++) {
    rig.runs[i]?.answer();
    await rig.settle();
  }
  assertEquals(rig.runs.length, 4);
  await items.return(undefined);
  assertEquals(closed, true);
});

Deno.test("an abort ends all: those that run, those that wait for room, and the reading", async () => {
  const rig = new Rig();
  const abort = new AbortController();
  await rig.start(["a", "b", "c"], { signal: abort.signal });
  rig.run("b").fail("RESOURCE_EXHAUSTED", 1_000);
  await rig.settle();
  abort.abort(new Error("enough"));
  await rig.settle();
  assert(rig.error instanceof NetworkError);
  assertEquals([rig.error.code, rig.run("a").signal.aborted], ["CANCELLED", true]);
  assertStringIncludes(rig.error.message, "enough");
  assertEquals([rig.begun(), rig.clock.pending], [["a", "b"], 0]);
});

Deno.test("an abort is heard while the next prompt is waited for", async () => {
  const rig = new Rig();
  const abort = new AbortController();
  const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  await rig.start(never, { signal: abort.signal });
  abort.abort();
  await rig.settle();
  assertEquals([rig.isDone, (rig.error as NetworkError).code], [true, "CANCELLED"]);
});

Deno.test("who leaves the loop stops what runs", async () => {
  const rig = new Rig();
  const items = rig.map(["a", "b", "c"]);
  const first = items.next();
  await rig.settle();
  await rig.answer("a");
  await first;
  await items.return(undefined);
  assertEquals(rig.run("b").signal.aborted, true);
});

Deno.test("what reading the prompts throws comes after the items of those that were read", async () => {
  const rig = new Rig();
  await rig.start((function* () {
    yield "a";
    throw new Error("no more");
  })());
  assertEquals(rig.isDone, false);
  await rig.answer("a");
  assertEquals([rig.told(), (rig.error as Error).message], [["0 A"], "no more"]);
});

Deno.test("progress says how many have ended, how many failed, and of how many as soon as that is known", async () => {
  const rig = new Rig();
  await rig.start(["a", "b"]);
  rig.run("b").fail("AGENT_FAILED");
  await rig.settle();
  assertEquals(rig.progress.at(-1), { done: 1, failed: 1, total: 2 });
  await rig.answer("a");
  assertEquals(rig.progress.at(-1), { done: 2, failed: 1, total: 2 });

  const other = new Rig();
  await other.start(["a", "b", "c"].values());
  await other.answer("a");
  assertEquals(other.progress, [{ done: 1, failed: 0, total: null }]);
  await other.answer("b", "c");
  assertEquals(other.progress.at(-1), { done: 3, failed: 0, total: 3 });
});

Deno.test("what onProgress throws ends the map", async () => {
  const rig = new Rig();
  await rig.start(["a", "b", "c"], {
    onProgress: () => {
      throw new Error("broken");
    },
  });
  await rig.answer("a", "b");
  assertEquals([rig.isDone, (rig.error as Error).message], [true, "broken"]);
  assertEquals(rig.begun(), ["a", "b"]);
});

Deno.test("a device that comes while it goes on is used", async () => {
  const rig = new Rig();
  let slots = 1;
  await rig.start(["a", "b", "c", "d"], { concurrency: () => slots });
  assertEquals(rig.begun(), ["a"]);
  slots = 3;
  await rig.answer("a");
  assertEquals(rig.begun(), ["a", "b", "c", "d"]);
  await rig.answer("b", "c", "d");
  assertEquals(rig.isDone, true);
});

Deno.test("no prompts are no items", async () => {
  assertEquals(await Array.fromAsync(new Rig().map([])), []);
});

Deno.test("the first that succeeds is the answer, and the losers are stopped", async () => {
  const rig = new Rig();
  const first = firstOf(rig.map(["a", "b", "c"], { order: "completion", concurrency: () => 3 }));
  await rig.settle();
  rig.run("a").fail("AGENT_FAILED");
  await rig.settle();
  await rig.answer("c");
  assertEquals((await first).output, "C");
  assertEquals(rig.run("b").signal.aborted, true);
});

Deno.test("when all have failed, the first to finish is none of them", async () => {
  const rig = new Rig();
  const first = firstOf(rig.map(["a", "b"], { order: "completion" }));
  await rig.settle();
  rig.run("a").fail("AGENT_FAILED");
  rig.run("b").fail("UNAVAILABLE");
  const error = await assertRejects(() => first, NetworkError, "All 2 prompts have failed");
  assertEquals(error.code, "UNAVAILABLE");
  const none = await assertRejects(() => firstOf(new Rig().map([])), NetworkError);
  assertEquals(none.code, "INVALID_ARGUMENT");
});

Deno.test("so many run at a time as there are slots, and as fill them again at once, 1 to 256", () => {
  const agent = describeAgent(createAgent({ name: "x", description: "", run: () => "" }));
  const one = (nodeId: string, slots: number, agents: string[], memory = 8_192) =>
    device(nodeId, { memory }, { slots, agents: new Set(agents), roundTripMs: 10 });
  const fleet = [one("a", 2, ["x"]), one("b", 3, ["x"], 1_024), one("c", 4, ["y"])];
  assertEquals(usualConcurrency(fleet, undefined, { agent }), 10);
  assertEquals(usualConcurrency(fleet, undefined, { agent, nodeId: "a" }), 4);
  assertEquals(usualConcurrency(fleet, undefined, { agent, requirements: { memory: 4_096 } }), 4);
  assertEquals(usualConcurrency([], undefined, { agent }), 1);
  assertEquals(usualConcurrency([one("d", 1_000, ["x"])], undefined, { agent }), 256);

  const taking = (ms: number): AgentTimes => ({ ms, work: ms, on: () => ms });
  assertEquals(usualConcurrency(fleet, taking(0), { agent }), 10);
  assertEquals(usualConcurrency(fleet, taking(15), { agent }), 2 + 2 + 3 + 2);
  assertEquals(usualConcurrency(fleet, taking(1_000), { agent }), 2 + 1 + 3 + 1);
  const here = device("e", {}, { slots: 2, agents: new Set(["x"]), roundTripMs: 0 });
  assertEquals(usualConcurrency([here], taking(1), { agent }), 2);
});
