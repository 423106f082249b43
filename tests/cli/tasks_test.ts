/** What `tasks` shows, and which task `cancel` means. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { theOne } from "../../src/cli/commands/cancel.ts";
import { consideredTable, showUsage, tasksReport } from "../../src/cli/show_tasks.ts";
import type { EndedTask, TaskStatus } from "../../src/network/status.ts";

const NOW = 1_000_000;

const running: TaskStatus = {
  taskId: "01JDAAAAAAAAAAAAAAAAAAAAA1",
  attempt: 2,
  agent: "work",
  runningMs: 4_200,
  state: "running",
  nodeId: "gpu-box",
  caller: "laptop",
  priority: "normal",
  since: NOW - 4_200,
};

const ended: EndedTask = {
  state: "ended",
  taskId: "01JDAAAAAAAAAAAAAAAAAAAAA0",
  agent: "work",
  nodeIds: ["pi", "gpu-box"],
  outcome: "ok",
  attempts: 2,
  durationMs: 90,
  serviceMs: 80,
  reason: "the only one",
  endedAt: NOW - 300_000,
};

Deno.test("tasks are shown with where, since when, for whom, and what they came to", () => {
  const [headings, first, second] = tasksReport([running, ended], { columns: 200 }, NOW);
  assertStringIncludes(headings, "TASK");
  assertEquals(first.split(/ {2,}/), [
    running.taskId,
    ...["work", "running", "gpu-box", "laptop", "normal", "4.2 s", "2", "–"],
  ]);
  assertEquals(second.split(/ {2,}/), [
    ended.taskId,
    ...["work", "ok, 5 min ago", "pi, gpu-box", "here", "–", "90 ms", "2", "the only one"],
  ]);
  for (const columns of [20, 60, 100]) {
    const lines = tasksReport([running, ended], { columns }, NOW);
    assert(lines.every((line) => line.length <= columns), `wider than ${columns}`);
  }
  assertEquals(tasksReport([], { columns: 80 }, NOW), [
    "No tasks yet. Run one: hanzo-network run PROMPT",
  ]);
});

Deno.test("a call of a model is shown by its model, and not by the agent that makes it", () => {
  const call = { agent: "hanzo.model", model: "llama3.2:3b\u001b[2J" };
  for (const task of [{ ...running, ...call }, { ...ended, ...call }]) {
    const report = tasksReport([task], { columns: 200 }, NOW).join("\n");
    assertMatch(report, / model llama3\.2:3b\[2J /);
    assert(!report.includes("hanzo.model"));
  }
});

Deno.test("where the terminal is narrow, ids and reasons are whole all the same", () => {
  const reason = "the smallest device that does light work well (about 0.1 TFLOPS, 0 tasks on 2 " +
    "slots, done in about 46 ms)";
  const failed: EndedTask = { ...ended, outcome: "DEADLINE_EXCEEDED", attempts: 1, reason };
  const considered = [{ nodeId: "gpu-box", place: 1, finishMs: 46, reason }];
  const report = tasksReport([running, { ...failed, considered }], { columns: 80 }, NOW);
  assert(report.every((line) => line.length <= 80));
  const [headings, first, firstRest, second, ...rest] = report;
  assertEquals(headings.split(/ {2,}/), ["TASK", "AGENT", "STATE", "NODE", "TIME"]);
  assertEquals(first.split(/ {2,}/), [running.taskId, "work", "running", "gpu-box", "4.2 s"]);
  assertEquals(firstRest, "    for laptop, attempt 2");
  assertEquals(
    second.split(/ {2,}/),
    [ended.taskId, "work", "out of time, 5 min ago", "pi, gpu-box", "90 ms"],
  );
  const [, narrower] = tasksReport([running], { columns: 50 }, NOW);
  assert(narrower.startsWith(`${running.taskId} `), `the id is cut: ${narrower}`);
  const text = rest.map((line) => line.trim()).join(" ");
  assertEquals(text.split(reason).length, 3, `why, and what was thought, are not whole: ${text}`);
});

Deno.test("the device that was chosen is marked, and why it was not the first", () => {
  const of = (nodeId: string, place: number | null) => ({
    nodeId,
    place,
    finishMs: 1,
    reason: "r",
  });
  const considered = [of("pi", 1), of("gpu-box", 2), of("old", null)];
  const shown = (nodeId: string | null, reason = "the smallest") =>
    consideredTable(considered, { nodeId, reason }, 80);
  assertEquals(shown("pi"), [
    "#  NODE         WHY",
    "1  pi (chosen)  r",
    "2  gpu-box      r",
    "–  old          r",
  ]);
  const [, first, second, , note] = shown("gpu-box");
  assertEquals([first, second], ["1  pi                r", "2  gpu-box (chosen)  r"]);
  assertStringIncludes(note, "drawn by lot");
  assertEquals(shown(null).length, 4);
  assertEquals(shown("gpu-box", "the custom router chose it").length, 4);
});

Deno.test("the beginning of an id is enough where it means one task", () => {
  const other = { ...running, taskId: "01JDBAAAAAAAAAAAAAAAAAAAA1" };
  const tasks = [running, other];
  assertEquals(theOne("01JDA", tasks), running);
  assertEquals(theOne("01jdb", tasks), other);
  assertEquals(theOne(other.taskId, tasks), other);
  const several = assertThrows(() => theOne("01", tasks), NetworkError);
  assertEquals(several.code, "INVALID_ARGUMENT");
  assertStringIncludes(several.message, "2 tasks begin so");
  const none = assertThrows(() => theOne("02", tasks), NetworkError);
  assertEquals(none.code, "NOT_FOUND");
  assertStringIncludes(none.message, "See: hanzo-network tasks");
});

Deno.test("what models took is told as far as it is known", () => {
  const shown = (modelCalls: number, inputTokens: number, outputTokens: number) =>
    showUsage({ modelCalls, inputTokens, outputTokens });
  assertEquals(shown(3, 1_234, 56), "models: 3 calls, 1,234 tokens read, 56 written");
  assertEquals(shown(1, 7, 0), "models: 1 call, 7 tokens read, 0 written");
  assertEquals(shown(2, 0, 0), "models: 2 calls");
  assertEquals(shown(0, 8, 1), "models: 8 tokens read, 1 written");
  assertEquals(shown(0, 0, 0), "models: not asked");
});
