/** The judge of maltreated tasks: nothing that is broken gets past it, and nothing else is blamed. */

import { assertEquals, assertMatch } from "@std/assert";
import { type Fault, judgeChaos, type Outcome, type Start } from "./chaos_judge.ts";
import { planFaults, type PlannedTask, planTasks } from "./chaos_plan.ts";

const work: PlannedTask = { index: 0, agent: "work", ms: 1_000, isStreamed: true };
const once: PlannedTask = { ...work, agent: "work-once" };
const talk: PlannedTask = { ...work, agent: "talk", ms: 100 };
const killed: Fault = { kind: "kill", host: "A", at: 500, until: 1_500 };
const paused: Fault = { kind: "pause", host: "A", at: 500, until: 5_500 };

const done: Outcome = {
  index: 0,
  taskId: "T",
  askedAt: 0,
  settledAt: 1_000,
  results: 1,
  output: "0",
  streamed: null,
  firstPieceAt: null,
  code: null,
  message: null,
  sent: [{ attempt: 1, node: "A", at: 0 }],
};
const moved: Outcome = {
  ...done,
  settledAt: 1_600,
  sent: [...done.sent, { attempt: 2, node: "B", at: 590 }],
};
const lost: Outcome = {
  ...done,
  settledAt: 510,
  results: 0,
  output: null,
  code: "UNKNOWN_OUTCOME",
  message: "",
};
const start = (attempt: number, node: string, at: number): Start => ({
  index: 0,
  taskId: "T",
  attempt,
  node,
  at,
});
const hitEachTime: Outcome = {
  ...lost,
  sent: [1, 2, 3].map((attempt) => ({ attempt, node: "A", at: attempt })),
};
const long: Fault = { kind: "cut", host: "A", at: 0, until: 5_000 };
const first = start(1, "A", 1);
const second = start(2, "B", 600);

function broken(
  task: PlannedTask,
  outcomes: Outcome[],
  starts: Start[],
  faults: Fault[] = [],
): string[] {
  return judgeChaos([task], outcomes, starts, faults).broken;
}

Deno.test("what is as promised is not blamed", () => {
  assertEquals(broken(work, [done], [first]), []);
  assertEquals(broken(work, [moved], [first, second], [killed]), []);
  assertEquals(broken(once, [lost], [first], [killed]), []);
  assertEquals(broken(once, [lost], [first], [paused]), []);
  assertEquals(broken(work, [hitEachTime], [], [long]), []);
  const unheard = { ...lost, sent: [], message: `Node "A" was lost` };
  assertEquals(broken(once, [unheard], [], [killed]), []);
  assertEquals(broken(once, [unheard], []).length, 1);
});

Deno.test("what is broken is named", () => {
  const cases: [RegExp, string[]][] = [
    [/has ended 0 times/, broken(work, [], [first])],
    [/has ended 2 times/, broken(work, [done, done], [first])],
    [/has 2 results/, broken(work, [{ ...done, results: 2 }], [first])],
    [/a result and an error/, broken(work, [{ ...lost, results: 1 }], [first], [killed])],
    [/attempt 1 of T was started on A and B/, broken(work, [done], [first, start(1, "B", 9)])],
    [/was started 2 times/, broken(once, [moved], [first, second], [killed])],
    [/has failed: UNKNOWN_OUTCOME/, broken(work, [lost], [first], [killed])],
    [/has failed: UNKNOWN_OUTCOME/, broken(once, [lost], [first])],
    [/has failed: UNAVAILABLE/, broken(once, [{ ...lost, code: "UNAVAILABLE" }], [], [killed])],
    [/has answered "1"/, broken(work, [{ ...done, output: "1" }], [first])],
    [
      /has told "0.0 0.0 0.1 "/,
      broken(talk, [
        { ...done, output: "0.0 0.1 ", streamed: "0.0 0.0 0.1 " },
      ], [first]),
    ],
    // A pause so short loses no node, and who was killed is felt no more when it is back.
    [/has failed: UNKNOWN_OUTCOME/, broken(once, [lost], [first], [{ ...paused, until: 4_499 }])],
    [
      /has failed: UNKNOWN_OUTCOME/,
      broken(once, [lost], [first], [{ ...killed, at: -900, until: -1 }]),
    ],
    [/has failed: INTERNAL/, broken(work, [{ ...hitEachTime, code: "INTERNAL" }], [], [long])],
    [/has ended late/, broken(work, [{ ...done, settledAt: 31_001 }], [first])],
  ];
  for (const [expected, [said = "nothing"]] of cases) assertMatch(said, expected);
});

Deno.test("a fallback lasts from the fault to the next start, and who waits has none", () => {
  const kill = judgeChaos([work], [moved], [first, second], [killed]);
  const history =
    "0 to A, 1 begun on A, 500 kill A, 590 to B, 600 begun on B, 1500 end of kill A, " +
    "1600 ended";
  assertEquals(kill.fallbacks, [{ index: 0, kind: "kill", ms: 100, moved: true, history }]);
  const waited = { ...done, settledAt: 5_600 };
  const pause = judgeChaos([work], [waited], [first], [paused]);
  const [{ kind, ms, moved: hasMoved }] = pause.fallbacks;
  assertEquals([kind, ms, hasMoved], ["pause", 5_100, false]);
  assertEquals(judgeChaos([once], [waited], [first], [paused]).fallbacks, []);
  const short = { ...paused, until: 1_000 };
  assertEquals(judgeChaos([work], [done], [first], [short]).fallbacks, []);
});

Deno.test("the same seed is the same tasks and faults, never more than two at a time", () => {
  assertEquals(planTasks(7, 50), planTasks(7, 50));
  const faults = planFaults(7, 60_000, 1_000);
  assertEquals(faults, planFaults(7, 60_000, 1_000));
  for (const { afterMs, host } of faults) {
    const going = faults.filter((one) =>
      one.afterMs <= afterMs && one.afterMs + one.forMs > afterMs
    );
    assertEquals(going.length <= 2, true);
    assertEquals(going.filter((one) => one.host === host).length, 1);
  }
});
