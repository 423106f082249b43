/** Tasks over a link: the caller's side and the executor's. */

import type { CancelTimer } from "../base/clock.ts";
import type { Deadlines } from "../base/deadlines.ts";
import { NetworkError } from "../base/errors.ts";
import type { IncomingCall } from "../link/call.ts";
import type { PeerLink } from "../link/peer_link.ts";
import type { Executor, Served } from "./executor.ts";
import type { Stoppable } from "./history.ts";
import {
  type AttemptEvent,
  deadlineExceeded,
  type EmitAttemptEvent,
  MAX_STREAMED_LENGTH,
  parseAgentEvent,
  parseAnswer,
  parseTask,
  type Task,
  TaskCancelled,
  type WireAnswer,
} from "./task.ts";

/** The name of the call on a link. */
export const RUN_METHOD = "run";

/** Every task says it once, so it goes as an empty item: nothing to read. */
const STARTED: AttemptEvent = { type: "started" };

/** What a run needs of a link. */
export type CallingLink = Pick<PeerLink, "call">;

/** How a run is bounded by its caller. */
export interface RemoteBounds {
  readonly deadlines: Deadlines;
  /** Stops it there, too. */
  readonly signal?: AbortSignal;
  /** Is given what stops it there as well: much cheaper than a signal of its own. */
  readonly stoppable?: Stoppable;
}

/**
 * Runs one attempt on the node at the other end of `link`. Nothing is emitted once it has settled.
 *
 * @throws {NetworkError} What the executor failed with; `UNAVAILABLE` when the task never left,
 * `UNKNOWN_OUTCOME` when the link broke after it had; `DEADLINE_EXCEEDED` when the task's time is
 * up, even if the other side says nothing; the signal's reason.
 */
export function runRemotely(
  link: CallingLink,
  task: Task,
  emit: EmitAttemptEvent,
  { deadlines, signal, stoppable }: RemoteBounds,
): Promise<Served> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let over = false;
    let streamed = "";
    let cancelDeadline: CancelTimer = () => {};
    const settle = () => {
      over = true;
      cancelDeadline();
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (reason: unknown) => {
      if (over) return;
      settle();
      call.cancel();
      reject(reason);
    };
    const onAbort = () => giveUp(signal!.reason);
    if (stoppable !== undefined) stoppable.stop = giveUp;
    const call = link.call(RUN_METHOD, JSON.stringify(task), {
      onItem(body) {
        if (over) return;
        const bytes = body.length;
        let taken: Promise<void> | void;
        try {
          const event = bytes === 0 ? STARTED : parseAgentEvent(body);
          if (event.type === "token") streamed = longer(streamed, event.text);
          taken = emit(event);
        } catch (thrown) {
          return giveUp(thrown);
        }
        if (taken === undefined) call.consumed(bytes);
        else void taken.then(() => call.consumed(bytes), giveUp);
      },
      onEnd(end) {
        if (over) return;
        settle();
        if (!end.ok) return reject(end.error);
        try {
          const answer = parseAnswer(end.body);
          if (answer.cancelled !== undefined) return reject(new TaskCancelled(answer.cancelled));
          resolve({ output: streamed, ...answer });
        } catch (thrown) {
          reject(thrown);
        }
      },
    });
    if (over) return;
    signal?.addEventListener("abort", onAbort, { once: true });
    // The executor keeps the deadline, too, but may be out of reach.
    cancelDeadline = deadlines.after(task.timeoutMs, () => giveUp(deadlineExceeded(task)));
  });
}

/** An executor that lies must not fill the memory of who believes it. */
function longer(streamed: string, text: string): string {
  if (streamed.length + text.length <= MAX_STREAMED_LENGTH) return streamed + text;
  throw new NetworkError(
    "RESOURCE_EXHAUSTED",
    `The answer is longer than ${
      MAX_STREAMED_LENGTH / 2 ** 20
    } million characters. Let the agent ` +
      "say less, or write it to a file.",
  );
}

/** Answers a peer's call by running the task here. */
export async function serveRun(
  call: IncomingCall,
  executor: Executor,
  caller: string,
): Promise<void> {
  let streamed = "";
  try {
    const { output, data, serviceMs } = await executor.execute(
      parseTask(call.body),
      (event) => {
        if (event.type === "started") return call.begin();
        if (event.type === "token") streamed += event.text;
        return call.send(JSON.stringify(event));
      },
      call.abort,
      caller,
    );
    // What was streamed is there already.
    call.end(toJson(output === streamed ? { data, serviceMs } : { output, data, serviceMs }));
  } catch (thrown) {
    if (thrown instanceof TaskCancelled) {
      return call.end(JSON.stringify({ cancelled: thrown.message }));
    }
    call.fail(NetworkError.from(thrown, "INTERNAL"));
  }
}

/** What an agent answers is checked by no compiler: its data may be a cycle, or hold a BigInt. */
function toJson(answer: WireAnswer): string {
  try {
    return JSON.stringify(answer);
  } catch (thrown) {
    throw NetworkError.from(thrown, "AGENT_FAILED", "The agent's answer cannot be sent as JSON");
  }
}
