/** What a failed attempt means: may another device be asked, and what is the caller told? */

import type { AgentDescription } from "../agents/agent.ts";
import { AgentLost } from "../agents/agent_lost.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import type { Ranking } from "../routing/rank.ts";
import { TaskCancelled } from "./task.ts";

/** How far an attempt has come. */
export interface Progress {
  begun: boolean;
  emitted: boolean;
  /** Devices that were lost while they ran this task, over all attempts. */
  lost: number;
}

/** What was asked for. */
export interface FailedRequest {
  readonly agent: AgentDescription;
  /** Of a call of a model: which. */
  readonly view?: { readonly model: string };
  /** The only node that may be asked, if there is one. */
  readonly nodeId?: string;
}

/** The device does not answer, and another one may do it: not a device that the task has ended. */
export class Unanswered extends NetworkError {
  /** @param nodeId The device. */
  constructor(nodeId: string) {
    super("UNKNOWN_OUTCOME", `Node "${nodeId}" does not answer.`);
  }
}

/** What an executor fails with before it has begun: another device may be asked at once. */
const NOT_BEGUN: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "CANCELLED",
]);

/**
 * What an attempt fails with that nobody knows the end of: the device was lost, or it stops. (When
 * the caller cancels, it is asked no more.)
 */
const BROKEN_OFF: ReadonlySet<ErrorCode> = new Set(["UNKNOWN_OUTCOME", "CANCELLED"]);

/** An agent that ends the process that runs it is to end no more of them than this. */
const MAX_LOST = 2;

/** Whether another device may be asked after `error`. */
export function mayTryAgain(
  error: NetworkError,
  { begun, emitted, lost }: Progress,
  { agent, nodeId }: FailedRequest,
): boolean {
  if (nodeId !== undefined || error instanceof TaskCancelled) return false;
  if (!begun && NOT_BEGUN.has(error.code)) return true;
  return BROKEN_OFF.has(error.code) && !emitted && agent.idempotent && lost < MAX_LOST;
}

/**
 * The error as the caller is to see it if no other device is asked.
 *
 * @param last Why none is asked, where that is not the task itself.
 */
export function outcomeOf(
  error: NetworkError,
  nodeId: string,
  { agent, view, nodeId: asked }: FailedRequest,
  { emitted, lost }: Progress,
  last = "no other device is left to run it",
): NetworkError {
  if (error.code !== "UNKNOWN_OUTCOME") return error;
  const why = emitted
    ? "part of its answer had come already"
    : !agent.idempotent
    ? `agent "${agent.name}" is not idempotent, so it was not run again elsewhere`
    : lost >= MAX_LOST
    ? `${lost} devices were lost by it, so it may be what ends them`
    : asked !== undefined
    ? "no other node was asked for"
    : last;
  if (view !== undefined) {
    return new NetworkError(
      "UNKNOWN_OUTCOME",
      `Node "${nodeId}" was lost while it asked model "${view.model}"; ${why}. Ask again.`,
      { cause: error },
    );
  }
  // An executor that has said so itself is not lost.
  const what = error instanceof AgentLost || error.cause === undefined
    ? `Agent "${agent.name}" broke off on node "${nodeId}" (${error.message})`
    : `Node "${nodeId}" was lost while it ran agent "${agent.name}"`;
  return new NetworkError(
    "UNKNOWN_OUTCOME",
    `${what}; ${why}. ` +
      `Look whether its work was done before you run it again.`,
    { cause: error },
  );
}

/**
 * The error when routing finds no device, with what each one lacks.
 *
 * @param model Of a call of a model: which.
 */
export function noDevice({ agent, verdicts }: Ranking, model?: string): NetworkError {
  const reasons = verdicts
    .filter((verdict) => !verdict.fits)
    .slice(0, 5)
    .map(({ candidate, reason }) => `${candidate.nodeId} ${reason}`);
  const [action, mend] = model === undefined
    ? [`Cannot run agent "${agent}"`, "Start a node that can, or lower the agent's requirements."]
    : [`Cannot ask model "${model}"`, "See: hanzo-network models"];
  return new NetworkError(
    "UNAVAILABLE",
    `${action}: no device can do it now` +
      (reasons.length > 0 ? ` (${reasons.join("; ")}). ${mend}` : `. ${mend}`),
  );
}
