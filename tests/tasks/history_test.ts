/** What is remembered of the tasks that a node has asked for. */

import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { rank } from "../../src/routing/rank.ts";
import { RoutingStrategy } from "../../src/routing/strategy.ts";
import { MOST_ENDED, TaskHistory } from "../../src/tasks/history.ts";
import { device, request } from "../support/candidates.ts";

const RANKING = rank([], request(), RoutingStrategy.Random);

Deno.test("a task that goes on is told with the node that has it and since when", async () => {
  const clock = new ManualClock();
  const history = new TaskHistory(clock);
  const task = history.begin("1", "work", "normal");
  await clock.advance(10);
  task.sent("a", "the only one", RANKING, clock.now());
  await clock.advance(10);
  task.sent("b", "the next", RANKING, clock.now());
  assertEquals([task.isRunning, task.since - task.askedAt], [false, 10 + 10]);
  await clock.advance(10);
  task.started(clock.now());
  assertEquals([task.isRunning, task.since - task.askedAt], [true, 30]);
  assertEquals([...history.goesOn()], [task]);
  assertEquals(history.recent(), []);
});

Deno.test("a task that has ended is told with its outcome, its nodes and its times", async () => {
  const clock = new ManualClock();
  const history = new TaskHistory(clock);
  const well = history.begin("1", "work", "normal");
  const badly = history.begin("2", "work", "low");
  well.sent("a", "first", RANKING, clock.now());
  await clock.advance(40);
  well.sent("b", "second", RANKING, clock.now());
  await clock.advance(60);
  history.end(well, "ok", 50);
  await clock.advance(1);
  history.end(badly, "UNAVAILABLE");
  assertEquals([...history.goesOn()], []);
  const end = clock.now();
  assertEquals(history.recent(), [
    {
      taskId: "2",
      agent: "work",
      nodeIds: [],
      outcome: "UNAVAILABLE",
      attempts: 0,
      durationMs: 101,
      serviceMs: null,
      reason: "",
      ranking: undefined,
      endedAt: end,
    },
    {
      taskId: "1",
      agent: "work",
      nodeIds: ["a", "b"],
      outcome: "ok",
      attempts: 2,
      durationMs: 100,
      serviceMs: 50,
      reason: "second",
      ranking: RANKING,
      endedAt: end - 1,
    },
  ]);
});

Deno.test("what is remembered of a task holds none of its caller's text", () => {
  const history = new TaskHistory(new ManualClock());
  const secrets = { query: "the question", context: "the document" };
  for (let i = 0; i < 2; i++) {
    const ranking = rank([device("a", {})], request(secrets), RoutingStrategy.CapabilityBased);
    const task = history.begin(`${i}`, "work", "normal");
    task.sent("a", "first", ranking, 0);
    if (i === 0) history.end(task, "ok", 1);
  }
  const kept = JSON.stringify([history.recent(), history.goesOn()]);
  assert(kept.includes('"verdicts"'));
  for (const secret of Object.values(secrets)) assert(!kept.includes(secret), secret);
});

Deno.test("no more than so many are remembered, the last ones, the last one first", () => {
  for (const count of [MOST_ENDED - 1, MOST_ENDED, MOST_ENDED + 1, 3 * MOST_ENDED + 7]) {
    const history = new TaskHistory(new ManualClock());
    for (let i = 0; i < count; i++) history.end(history.begin(`${i}`, "work", "normal"), "ok", 1);
    const ids = history.recent().map(({ taskId }) => Number(taskId));
    const expected = Array.from({ length: Math.min(count, MOST_ENDED) }, (_, i) => count - 1 - i);
    assertEquals(ids, expected, `${count} tasks`);
  }
});
