/** How tasks are written for people. */

import type { Consideration } from "../agents/run_event.ts";
import type { EndedTask, TaskStatus } from "../network/status.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/**
 * What `tasks` shows: those that go on first, then those that have ended, the last one first. No
 * line is wider than the terminal.
 *
 * @param now In milliseconds since 1970.
 */
export function tasksReport(
  tasks: readonly (TaskStatus | EndedTask)[],
  { columns }: Pick<Terminal, "columns">,
  now: number,
): string[] {
  if (tasks.length === 0) return ["No tasks yet. Run one: hanzo-network run PROMPT"];
  const lines = table(
    ["TASK", "AGENT", "STATE", "NODE", "FOR", "PRIORITY", "TIME", "ATTEMPT", "WHY THERE"],
    tasks.map((task) => task.state === "ended" ? endedCells(task, now) : cells(task, now)),
    columns,
  );
  const explained = tasks.filter(({ considered }) => considered !== undefined);
  return [
    ...lines,
    ...explained.flatMap(({ taskId, considered }) => [
      "",
      `Task ${taskId}:`,
      ...consideredTable(considered!, columns),
    ]),
  ];
}

/** What was thought of each device, the best first. */
export function consideredTable(considered: readonly Consideration[], columns: number): string[] {
  const rows = considered.map(({ nodeId, place, reason }) => [
    place === null ? "–" : `${place}`,
    nodeId,
    reason,
  ]);
  return table(["#", "NODE", "WHY"], rows, columns);
}

function cells(task: TaskStatus, now: number): string[] {
  const { taskId, agent, state, nodeId, caller, priority, since, attempt } = task;
  // Two processes may read the clock in the other order.
  const time = showDuration(Math.max(0, now - since));
  return [taskId, agent, state, nodeId ?? "–", caller, priority, time, `${attempt}`, "–"];
}

function endedCells(task: EndedTask, now: number): string[] {
  const { taskId, agent, outcome, nodeIds, durationMs, attempts, reason, endedAt } = task;
  const ago = showDuration(Math.max(0, now - endedAt));
  const state = `${outcome}, ${ago} ago`;
  const nodes = nodeIds.join(", ") || "–";
  return [
    taskId,
    agent,
    state,
    nodes,
    "here",
    "–",
    showDuration(durationMs),
    `${attempts}`,
    reason,
  ];
}

/** `12 ms`, `4.2 s`, `12 min`. */
function showDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 100_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
