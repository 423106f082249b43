/** Whatever devices and callers do, in whatever order: each task has one end, and is begun rightly. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { RunEvent } from "../../src/agents/run_event.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { type AskedRun, Fleet, type Outcome } from "../support/task_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

const NODES = ["a", "b", "c"];
const TIMEOUT_MS = 10_000;

/** What a device does with a run that it was asked for, as far as that makes sense then. */
type Deed = "begin" | "say" | "answer" | "fail" | "lose" | "refuse" | "unavailable" | "stop";

type Step =
  | { run: { idempotent: boolean; hedged: boolean } }
  | { asked: number; deed: Deed }
  | { silence: string }
  | { cancel: number }
  | { abort: number }
  | { wait: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ idempotent: fc.boolean(), hedged: fc.boolean() }).map((run) => ({
      run,
    })),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      asked: fc.nat(9),
      deed: fc.constantFrom<Deed>(
        "begin",
        "begin",
        "say",
        "answer",
        "fail",
        "lose",
        "lose",
        "refuse",
        "unavailable",
        "stop",
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(...NODES).map((silence) => ({ silence })) },
  { weight: 1, arbitrary: fc.nat(5).map((cancel) => ({ cancel })) },
  { weight: 1, arbitrary: fc.nat(5).map((abort) => ({ abort })) },
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 100, 100, 1_500).map((wait) => ({ wait })) },
);

/** A run as its device sees it. */
interface Served {
  readonly node: string;
  readonly run: AskedRun;
  begun: boolean;
  ended: boolean;
}

/** A run as its caller sees it. */
interface Asked {
  readonly idempotent: boolean;
  readonly abort: AbortController;
  readonly events: RunEvent[];
  readonly outcome: Outcome;
  /** Events that came after the end. */
  late: number;
}

class Rig {
  readonly fleet = new Fleet(NODES);
  readonly served: Served[] = [];
  readonly asked: Asked[] = [];
  readonly #seen = new Set<AskedRun>();

  run({ idempotent, hedged }: { idempotent: boolean; hedged: boolean }): void {
    this.fleet.agent = heldAgent({ workload: "heavy", idempotent }).agent;
    const events: RunEvent[] = [];
    const abort = new AbortController();
    const one: { -readonly [K in keyof Asked]: Asked[K] } = {
      idempotent,
      abort,
      events,
      outcome: { result: undefined, error: undefined },
      late: 0,
    };
    one.outcome = this.fleet.run({
      timeoutMs: TIMEOUT_MS,
      signal: abort.signal,
      ...(hedged && idempotent && { hedgeAfterMs: 100 }),
    }, (event) => {
      const { result, error } = one.outcome;
      if (result !== undefined || error !== undefined) one.late++;
      events.push(event);
    });
    this.asked.push(one);
  }

  /** Notices what was asked for meanwhile. */
  async settle(): Promise<void> {
    await this.fleet.settle();
    for (const [node, runs] of this.fleet.asked) {
      for (const run of runs) {
        if (this.#seen.has(run)) continue;
        this.#seen.add(run);
        this.served.push({ node, run, begun: false, ended: false });
      }
    }
  }

  /** One of those that a device has now, whatever its caller thinks of it. */
  at(number: number): Served | undefined {
    const open = this.served.filter(({ ended }) => !ended);
    return open[number % open.length];
  }

  do(one: Served | undefined, deed: Deed): void {
    if (one === undefined) return;
    const { run, node } = one;
    const { attempt } = run.task;
    const begin = () => {
      if (!one.begun) run.begin();
      one.begun = true;
    };
    const needsNoBegin = deed === "refuse" || deed === "unavailable";
    // An executor refuses before it begins, or not at all.
    if (needsNoBegin && one.begun) return;
    if (deed === "say" || deed === "fail" || deed === "stop") begin();
    if (deed === "begin") return begin();
    if (deed === "say") return void run.say({ type: "token", text: `${attempt}` });
    one.ended = true;
    if (deed === "answer") {
      one.begun = true;
      run.answer({ output: `${attempt} on ${node}` });
    } else if (deed === "fail") run.fail("AGENT_FAILED");
    else if (deed === "lose") {
      // Nobody knows, so it may have.
      one.begun = true;
      run.fail("UNKNOWN_OUTCOME");
    } else if (deed === "refuse") run.fail("RESOURCE_EXHAUSTED", "busy", 10);
    else if (deed === "unavailable") run.fail("UNAVAILABLE");
    else run.stop("Somebody has stopped it.");
  }
}

Deno.test("property: each task has one end, no attempt begins twice, and nothing is left behind", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
      const rig = new Rig();
      const { fleet } = rig;
      for (const step of steps) {
        if ("run" in step) rig.run(step.run);
        else if ("asked" in step) rig.do(rig.at(step.asked), step.deed);
        else if ("silence" in step) {
          if (!fleet.silent.delete(step.silence)) fleet.silent.add(step.silence);
        } else if ("cancel" in step) {
          const task = fleet.dispatcher.history.goesOn()[step.cancel];
          if (task !== undefined) {
            fleet.dispatcher.cancel(task.taskId, new NetworkError("CANCELLED", "Enough."));
          }
        } else if ("abort" in step) rig.asked[step.abort]?.abort.abort();
        else await fleet.clock.advance(step.wait);
        await rig.settle();
      }
      await fleet.clock.advance(2 * TIMEOUT_MS);
      await rig.settle();
      check(rig);
    }),
    { numRuns: 400 },
  );
});

function check({ fleet, asked, served }: Rig): void {
  const keys = served.map(({ run: { task } }) => `${task.taskId}/${task.attempt}`);
  assertEquals(new Set(keys).size, keys.length, "an attempt was sent twice");
  for (const { idempotent, outcome: { result, error }, events, late } of asked) {
    assert((result === undefined) !== (error === undefined), "it has not one end");
    assertEquals(late, 0, "something was told after the end");
    const routed = events.filter((event) => event.type === "routed");
    assert(routed.length <= 3, "it had more than three attempts");
    const taskId = routed[0]?.taskId;
    const its = served.filter(({ run }) => run.task.taskId === taskId);
    if (!idempotent) assert(its.filter(({ begun }) => begun).length <= 1, "it was begun twice");
    const told = new Set(events.flatMap((event) => event.type === "token" ? [event.text] : []));
    assert(told.size <= 1, "two attempts were heard");
    if (result === undefined) continue;
    const [attempt, , node] = result.output.split(" ");
    assertEquals(result.nodeId, node);
    if (told.size > 0) assert(told.has(attempt), "one was heard, and another one counts");
  }
  for (const { run, ended } of served) {
    assert(ended || run.cancelled, "a device still works on what nobody waits for");
  }
  assert(fleet.dispatcher.history.isIdle);
  assertEquals(fleet.clock.pending, 0, "a timer is left");
}
