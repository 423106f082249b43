/** How tasks are written for people. */

import type { Consideration } from "../agents/run_event.ts";
import type { AgentUsage } from "../agents/models/model.ts";
import type { EndedTask, TaskStatus } from "../network/status.ts";
import { safeName } from "../base/safe_text.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { displayWidth, wrap } from "./width.ts";

/** What a reason is cut to, however long it is. */
const MOST_REASON = 1_000;

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
  const explained = tasks.filter(({ considered }) => considered !== undefined);
  return [
    ...tasksTable(tasks.map((task) => shownTask(task, now)), columns),
    ...explained.flatMap((task) => [
      "",
      `Task ${task.taskId}:`,
      ...consideredTable(task.considered!, choiceOf(task), columns),
    ]),
  ];
}

/** Which device got a task, and why. */
export interface ShownChoice {
  readonly nodeId: string | null;
  readonly reason: string;
}

function choiceOf(task: TaskStatus | EndedTask): ShownChoice {
  if (task.state !== "ended") return { nodeId: task.nodeId, reason: "" };
  return { nodeId: task.nodeIds.at(-1) ?? null, reason: task.reason };
}

/** What the models of a run took: `models: 3 calls, 1,234 tokens read, 56 written`. */
export function showUsage({ modelCalls, inputTokens, outputTokens }: AgentUsage): string {
  const calls = modelCalls === 1 ? "1 call" : `${figure(modelCalls)} calls`;
  const tokens = `${figure(inputTokens)} tokens read, ${figure(outputTokens)} written`;
  const known = [
    ...modelCalls === 0 ? [] : [calls],
    // Not every server tells what it took.
    ...inputTokens === 0 && outputTokens === 0 ? [] : [tokens],
  ];
  return `models: ${known.length === 0 ? "not asked" : known.join(", ")}`;
}

/** The same in every country: what is written around it is English. */
function figure(count: number): string {
  return count.toLocaleString("en-US");
}

/** Says it where a router of the owner's has chosen: by none of the figures. */
const BY_ROUTER = "the custom router chose it";

/**
 * What was thought of each device, the best first.
 *
 * @param choice Which of them got the task.
 */
export function consideredTable(
  considered: readonly Consideration[],
  { nodeId, reason }: ShownChoice,
  columns: number,
): string[] {
  const lines = considerations(considered, nodeId, columns);
  const isFirst = considered.every((one) => one.nodeId !== nodeId || one.place === 1);
  if (isFirst || reason === BY_ROUTER) return lines;
  const why = "Of devices that are as good by these figures, one is drawn by lot.";
  return [...lines, ...wrap(why, columns)];
}

function considerations(
  considered: readonly Consideration[],
  chosen: string | null,
  columns: number,
): string[] {
  const places = considered.map(({ place }) => place === null ? "–" : `${place}`);
  const names = considered.map(({ nodeId }) => nodeId === chosen ? `${nodeId} (chosen)` : nodeId);
  const whole = table(
    ["#", "NODE", "WHY"],
    considered.map(({ reason }, i) => [places[i], names[i], reason]),
    Infinity,
  );
  if (whole.every((line) => displayWidth(line) <= columns)) return whole;
  // A reason that is cut explains nothing.
  const rows = names.map((name, i) => [places[i], name]);
  const [headings, ...lines] = table(["#", "NODE"], rows, columns);
  return [
    headings,
    ...lines.flatMap((line, i) => [line, ...indented(considered[i].reason, columns)]),
  ];
}

/** A task in words. */
interface ShownTask {
  /** `TASK`, `AGENT`, `STATE`, `NODE`, `TIME`. */
  readonly cells: readonly string[];
  readonly caller: string;
  readonly priority: string;
  readonly attempts: number;
  readonly reason: string;
}

/** One line for each task where they fit; else the rest below it. Ids are cut last: they are typed. */
function tasksTable(tasks: readonly ShownTask[], columns: number): string[] {
  const whole = table(
    ["TASK", "AGENT", "STATE", "NODE", "FOR", "PRIORITY", "TIME", "ATTEMPT", "WHY THERE"],
    tasks.map(({ cells, caller, priority, attempts, reason }) => [
      ...cells.slice(0, 4),
      caller,
      priority,
      cells[4],
      `${attempts}`,
      reason,
    ]),
    Infinity,
  );
  if (whole.every((line) => displayWidth(line) <= columns)) return whole;
  const rows = tasks.map(({ cells }) => cells);
  const [headings, ...lines] = table(["TASK", "AGENT", "STATE", "NODE", "TIME"], rows, columns, 1);
  return [
    headings,
    ...lines.flatMap((line, i) => {
      const rest = restOf(tasks[i]);
      return rest === "" ? [line] : [line, ...indented(rest, columns)];
    }),
  ];
}

/** What the five columns do not say, as far as it is out of the ordinary. */
function restOf({ caller, priority, attempts, reason }: ShownTask): string {
  const words = [
    ...caller === "here" ? [] : [`for ${caller}`],
    ...priority === "–" || priority === "normal" ? [] : [`${priority} priority`],
    ...attempts < 2 ? [] : [`attempt ${attempts}`],
    ...reason === "–" ? [] : [reason],
  ];
  return words.join(", ");
}

function indented(text: string, columns: number): string[] {
  return wrap(safeName(text.replaceAll(/\s+/g, " "), MOST_REASON), columns, "    ");
}

/** The agent, or the model that is called: that is done by an agent, too, which nobody has to know. */
export function whatRuns({ agent, model }: Pick<TaskStatus, "agent" | "model">): string {
  return model === undefined ? agent : `model ${model}`;
}

function shownTask(task: TaskStatus | EndedTask, now: number): ShownTask {
  const { taskId } = task;
  const agent = whatRuns(task);
  // Two processes may read the clock in the other order.
  const since = (moment: number) => showDuration(Math.max(0, now - moment));
  if (task.state !== "ended") {
    const { state, nodeId, caller, priority, attempt } = task;
    const cells = [taskId, agent, state, nodeId ?? "–", since(task.since)];
    return { cells, caller, priority, attempts: attempt, reason: "–" };
  }
  const { nodeIds, durationMs, attempts, endedAt } = task;
  const state = `${showOutcome(task.outcome)}, ${since(endedAt)} ago`;
  const cells = [taskId, agent, state, nodeIds.join(", ") || "–", showDuration(durationMs)];
  return { cells, caller: "here", priority: "–", attempts, reason: task.reason || "–" };
}

/** `ok`, `agent failed`: a code's words, or plainer ones. */
function showOutcome(outcome: EndedTask["outcome"]): string {
  return PLAIN_OUTCOMES[outcome] ?? outcome.toLowerCase().replaceAll("_", " ");
}

const PLAIN_OUTCOMES: Partial<Record<EndedTask["outcome"], string>> = {
  UNAVAILABLE: "no device",
  RESOURCE_EXHAUSTED: "all full",
  DEADLINE_EXCEEDED: "out of time",
  FAILED_PRECONDITION: "not possible",
};

/** `12 ms`, `4.2 s`, `12 min`. */
function showDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 100_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
