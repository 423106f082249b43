/**
 * What is promised of tasks whose nodes are maltreated, held against what came of them.
 *
 * A task is promised as soon as it is asked for, since devices that can do it are always there. What
 * is promised is one end: the result, or the word that nobody knows the outcome where it must not
 * be run again. What may end so, and nothing else:
 *
 * - a task of an agent that is not idempotent, or one that has said something already, whose node was
 *   lost while it was there: killed, or away for longer than no node is removed for;
 * - one that was on two nodes when they were killed, since it may be what kills them;
 * - one whose three attempts were all hit.
 *
 * @module
 */

import { type FaultKind, piecesOf, type PlannedTask } from "./chaos_plan.ts";

/** How long a task may take in all, in milliseconds. */
export const TIMEOUT_MS = 30_000;

/** A fault that was made; times are milliseconds since 1970, with fractions. */
export interface Fault {
  readonly kind: FaultKind;
  readonly host: string;
  readonly at: number;
  /** When the node was let go on, or started again. */
  readonly until: number;
}

/** What an executor wrote when an agent began. */
export interface Start {
  readonly index: number;
  readonly taskId: string;
  readonly attempt: number;
  readonly node: string;
  readonly at: number;
}

/** What came of a task, as its caller saw it. */
export interface Outcome {
  readonly index: number;
  /** Null where nobody told it. */
  readonly taskId: string | null;
  readonly askedAt: number;
  readonly settledAt: number;
  /** How many came. */
  readonly results: number;
  readonly output: string | null;
  /** All pieces of the answer, as they came. */
  readonly streamed: string | null;
  readonly firstPieceAt: number | null;
  /** Of the error. */
  readonly code: string | null;
  readonly message: string | null;
  /** Where each attempt went; empty where nobody read the events. */
  readonly sent: { readonly attempt: number; readonly node: string; readonly at: number }[];
}

/** How long it took from a fault to the next start of a task that was there. */
export interface Fallback {
  readonly index: number;
  readonly kind: FaultKind;
  readonly ms: number;
  /** Whether it went elsewhere; else it waited for the node. */
  readonly moved: boolean;
  /** What happened to the task, in order. */
  readonly history: string;
}

/** See the top of the file. */
export interface Verdict {
  /** What was promised and not kept, in words. */
  readonly broken: string[];
  readonly results: number;
  /** Tasks whose outcome nobody knows, and nobody can know. */
  readonly unknown: number;
  /** Attempts beyond the first ones. */
  readonly repeated: number;
  /** Attempts that a fault has hit. */
  readonly hit: number;
  readonly fallbacks: readonly Fallback[];
}

interface Attempt {
  readonly attempt: number;
  readonly node: string;
  readonly from: number;
  readonly until: number;
  readonly startedAt: number | undefined;
}

const MOST_ATTEMPTS = 3;
const MOST_LOST = 2;
/** Within this a task begins elsewhere: a node that is away for less need not be left. */
export const PROMISED_MS = 1_500;
/** A node that is away for less is not removed: whatever it has been given it ends. */
const NEVER_REMOVED_MS = 4_000;
/**
 * How long a fault may still be felt. A connection finds out by itself when it was cut, and TCP waits
 * twice as long each time; who was killed is told by its host, at once.
 */
const AFTERMATH_MS: Readonly<Record<FaultKind, number>> = {
  kill: 0,
  pause: 500,
  deaf: 4_000,
  cut: 4_000,
};
/** What a task may end with that was hit each time. */
const ENDS_OF_HIT: ReadonlySet<string | null> = new Set(["UNKNOWN_OUTCOME", "UNAVAILABLE"]);

/** Holds all that came of it against what is promised. */
export function judgeChaos(
  tasks: readonly PlannedTask[],
  outcomes: readonly Outcome[],
  starts: readonly Start[],
  faults: readonly Fault[],
): Verdict {
  const broken = doubleStarts(starts);
  const ofTask = Map.groupBy(outcomes, ({ index }) => index);
  const startsOfTask = Map.groupBy(starts, ({ index }) => index);
  const fallbacks: Fallback[] = [];
  let [results, unknown, repeated, hit] = [0, 0, 0, 0];
  for (const task of tasks) {
    const settled = ofTask.get(task.index) ?? [];
    const started = startsOfTask.get(task.index) ?? [];
    const say = (what: string) => {
      const history = [...settled.flatMap(({ sent }) => sent).map((to) => `to ${to.node}`)];
      broken.push(`task ${task.index} (${task.agent}): ${what} [${history.join(", ")}]`);
    };
    if (settled.length !== 1) {
      say(`has ended ${settled.length} times`);
      continue;
    }
    const [outcome] = settled;
    const attempts = attemptsOf(outcome, started);
    const hits = attempts.filter((one) => faultOf(one, faults) !== undefined);
    hit += hits.length;
    repeated += Math.max(0, attempts.length - 1);
    if (attempts.length > MOST_ATTEMPTS) say(`has had ${attempts.length} attempts`);
    if (isOnce(task) && started.length > 1) say(`was started ${started.length} times`);
    if (outcome.settledAt - outcome.askedAt > TIMEOUT_MS + 1_000) say("has ended late");
    if (outcome.code === null) {
      results++;
      const wrong = wrongAnswer(task, outcome);
      if (wrong !== undefined) say(wrong);
      fallbacks.push(...fallbacksOf(task, outcome, attempts, faults));
    } else if (outcome.results > 0) say("has a result and an error");
    else if (mayBeUnknown(task, outcome, attempts, faults)) unknown++;
    else say(`has failed: ${outcome.code}: ${outcome.message}`);
  }
  return { broken, results, unknown, repeated, hit, fallbacks };
}

/** An attempt is started at most once, wherever. */
function doubleStarts(starts: readonly Start[]): string[] {
  return [...Map.groupBy(starts, ({ taskId, attempt }) => `attempt ${attempt} of ${taskId}`)]
    .filter(([, lines]) => lines.length > 1)
    .map(([what, lines]) =>
      `${what} was started on ${lines.map(({ node }) => node).join(" and ")}`
    );
}

/** What was sent and what was started, together. */
function attemptsOf(
  { sent, askedAt, settledAt, message }: Outcome,
  started: readonly Start[],
): Attempt[] {
  // Nobody heard where it went, and it did not begin there: the error names the node.
  const [, lostBy] = /^Node "(\w+)"/.exec(message ?? "") ?? [];
  if (sent.length + started.length === 0 && lostBy !== undefined) {
    return [{ attempt: 1, node: lostBy, from: askedAt, until: settledAt, startedAt: undefined }];
  }
  const numbers = new Set([...sent, ...started].map(({ attempt }) => attempt));
  const all = [...numbers].sort((a, b) => a - b).map((attempt) => {
    const to = sent.find((one) => one.attempt === attempt);
    const start = started.find((one) => one.attempt === attempt);
    return {
      attempt,
      node: (to ?? start)!.node,
      from: (to ?? start)!.at,
      startedAt: start?.at,
    };
  });
  return all.map((one, i) => ({ ...one, until: all[i + 1]?.from ?? settledAt }));
}

/** The first fault that has hit a node while it had the attempt, or else the last one before. */
function faultOf({ node, from, until }: Attempt, faults: readonly Fault[]): Fault | undefined {
  const before = faults.filter(({ host, at }) => host === node && at < until)
    .sort((one, other) => one.at - other.at);
  return before.find((fault) => fault.until > from) ??
    before.findLast(({ kind, until }) => until + AFTERMATH_MS[kind] > from);
}

function mayBeUnknown(
  task: PlannedTask,
  { code, firstPieceAt }: Outcome,
  attempts: readonly Attempt[],
  faults: readonly Fault[],
): boolean {
  const last = attempts.at(-1);
  if (last === undefined) return false;
  const hits = attempts.map((one) => faultOf(one, faults)).filter((fault) => fault !== undefined);
  if (attempts.length >= MOST_ATTEMPTS && hits.length === attempts.length) {
    return ENDS_OF_HIT.has(code);
  }
  const fault = faultOf(last, faults);
  if (code !== "UNKNOWN_OUTCOME" || fault === undefined || !isLoss(fault)) return false;
  const killed = hits.filter(({ kind }) => kind === "kill").length;
  return isOnce(task) || firstPieceAt !== null || killed >= MOST_LOST;
}

function isLoss({ kind, at, until }: Fault): boolean {
  return kind === "kill" || until - at >= NEVER_REMOVED_MS;
}

function wrongAnswer(
  task: PlannedTask,
  { results, output, streamed }: Outcome,
): string | undefined {
  if (results !== 1) return `has ${results} results`;
  const isTalk = task.agent.startsWith("talk");
  const expected = isTalk ? piecesOf(task).join("") : `${task.index}`;
  if (output !== expected) return `has answered ${JSON.stringify(output)}`;
  if (isTalk && streamed !== expected) return `has told ${JSON.stringify(streamed)}`;
}

/** How long each fault has kept the task from being worked at, where it could have gone elsewhere. */
function fallbacksOf(
  task: PlannedTask,
  { settledAt, firstPieceAt }: Outcome,
  attempts: readonly Attempt[],
  faults: readonly Fault[],
): Fallback[] {
  return attempts.flatMap((one): Fallback[] => {
    const fault = faultOf(one, faults);
    if (fault === undefined) return [];
    const { kind } = fault;
    const since = Math.max(fault.at, one.from);
    const history = historyOf(attempts, faults, settledAt);
    const next = attempts.find(({ attempt, startedAt }) => attempt > one.attempt && startedAt);
    if (next !== undefined) {
      // It may have been sent long before it was started there, and nobody knows when.
      if (next.startedAt! < since) return [];
      return [{ index: task.index, kind, ms: next.startedAt! - since, moved: true, history }];
    }
    // No attempt is left, or it may have begun, or said something, and must not begin again.
    if (one.attempt >= MOST_ATTEMPTS || isOnce(task)) return [];
    if (firstPieceAt !== null && firstPieceAt < since + PROMISED_MS) return [];
    const wasAway = fault.until - since > PROMISED_MS && settledAt - since > PROMISED_MS;
    // One that hears nothing may say all the same how its work has ended.
    const mayAnswer = kind === "deaf" && settledAt - (one.startedAt ?? since) < task.ms + 1_000;
    if (!wasAway || mayAnswer) return [];
    return [{ index: task.index, kind, ms: settledAt - since, moved: false, history }];
  });
}

/** `"+0 to A, +300 begun on A, +500 kill A, …"`: milliseconds from the first one on. */
function historyOf(attempts: readonly Attempt[], faults: readonly Fault[], end: number): string {
  const begin = attempts[0].from;
  const moments = [
    ...attempts.map(({ node, from }) => ({ at: from, what: `to ${node}` })),
    ...attempts.flatMap(({ node, startedAt: at }) =>
      at === undefined ? [] : [{ at, what: `begun on ${node}` }]
    ),
    ...faults.filter(({ host }) => attempts.some(({ node }) => node === host))
      .flatMap(({ kind, host, at, until }) => [
        { at, what: `${kind} ${host}` },
        { at: until, what: `end of ${kind} ${host}` },
      ])
      .filter(({ at }) => at > begin - AFTERMATH_MS.cut && at < end),
    { at: end, what: "ended" },
  ];
  return moments.sort((one, other) => one.at - other.at)
    .map(({ at, what }) => `${Math.round(at - begin)} ${what}`).join(", ");
}

function isOnce({ agent }: PlannedTask): boolean {
  return agent.endsWith("-once");
}
