/** Turns a run that calls back into an async iterable that its reader paces. */

import type { RunEvent, RunResult } from "../agents/run_event.ts";
import { NetworkError } from "../base/errors.ts";
import type { EmitRunEvent } from "../tasks/task_run.ts";

/** Events that wait for the reader before the agent has to. */
const MAX_WAITING = 64;

/**
 * The events of `run`, its result last. Leaving the loop early stops the run.
 *
 * @throws What `run` rejects with, after the events that came before.
 */
export async function* streamRun(
  run: (emit: EmitRunEvent, signal: AbortSignal) => Promise<RunResult>,
): AsyncGenerator<RunEvent, void, void> {
  const abort = new AbortController();
  const waiting: RunEvent[] = [];
  let wakeReader = () => {};
  /** What the agent waits for while there is no room. */
  let room: PromiseWithResolvers<void> | undefined;
  let end: { result: RunResult } | { error: unknown } | undefined;

  const emit: EmitRunEvent = (event) => {
    waiting.push(event);
    wakeReader();
    if (waiting.length < MAX_WAITING) return;
    room ??= Promise.withResolvers();
    return room.promise;
  };
  const makeRoom = () => {
    room?.resolve();
    room = undefined;
  };
  run(emit, abort.signal).then((result) => end = { result }, (error) => end = { error })
    .finally(() => wakeReader());

  try {
    for (;;) {
      while (waiting.length > 0) {
        yield waiting.shift()!;
        if (waiting.length < MAX_WAITING / 2) makeRoom();
      }
      if (end !== undefined) break;
      await new Promise<void>((resolve) => wakeReader = resolve);
    }
    if ("error" in end) throw end.error;
    yield { type: "result", result: end.result };
  } finally {
    makeRoom();
    abort.abort(new NetworkError("CANCELLED", "Cancelled: the reader of the run stopped reading."));
  }
}
