/** Tasks over a link: the caller's side and the executor's. */

import type { AgentAnswer } from "../agents/agent.ts";
import { NetworkError } from "../base/errors.ts";
import type { IncomingCall } from "../link/call.ts";
import type { PeerLink } from "../link/peer_link.ts";
import type { Executor } from "./executor.ts";
import {
  type AttemptEvent,
  type EmitAttemptEvent,
  parseAgentEvent,
  parseAnswer,
  parseTask,
  type Task,
} from "./task.ts";

/** The name of the call on a link. */
export const RUN_METHOD = "run";

/** Every task says it once, so it goes as an empty item: nothing to write, nothing to read. */
const STARTED: AttemptEvent = { type: "started" };

/**
 * Runs one attempt on the node at the other end of `link`.
 *
 * @param signal Stops it there, too.
 * @throws {NetworkError} What the executor failed with; `UNAVAILABLE` when the task never left,
 * `UNKNOWN_OUTCOME` when the link broke after it had.
 */
export function runRemotely(
  link: PeerLink,
  task: Task,
  emit: EmitAttemptEvent,
  signal?: AbortSignal,
): Promise<AgentAnswer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      call.cancel();
      reject(signal!.reason);
    };
    const call = link.call(RUN_METHOD, JSON.stringify(task), {
      onItem(body) {
        const bytes = body.length;
        let taken: Promise<void> | void;
        try {
          taken = emit(bytes === 0 ? STARTED : parseAgentEvent(body));
        } catch (thrown) {
          call.cancel();
          return reject(NetworkError.from(thrown, "PROTOCOL"));
        }
        if (taken === undefined) call.consumed(bytes);
        else void taken.then(() => call.consumed(bytes));
      },
      onEnd(end) {
        signal?.removeEventListener("abort", onAbort);
        if (!end.ok) return reject(end.error);
        try {
          resolve(parseAnswer(end.body));
        } catch (thrown) {
          reject(thrown);
        }
      },
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Answers a peer's call by running the task here. */
export async function serveRun(call: IncomingCall, executor: Executor): Promise<void> {
  try {
    const answer = await executor.execute(
      parseTask(call.body),
      (event) => call.send(event.type === "started" ? "" : JSON.stringify(event)),
      call.abort,
    );
    call.end(JSON.stringify(answer));
  } catch (thrown) {
    call.fail(NetworkError.from(thrown, "INTERNAL"));
  }
}
