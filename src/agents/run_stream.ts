/** Turns a run that calls back into an async iterable that its reader paces. */

import { NetworkError } from "../base/errors.ts";
import type { EmitRunEvent, RunEvent, RunResult } from "./run_event.ts";

/** Events that wait for the reader before the agent has to. */
const MAX_WAITING = 64;

/**
 * The events of `run`, its result last. Leaving the loop early stops the run.
 *
 * @throws What `run` rejects with, after the events that came before.
 */
export async function* streamRun<Result extends RunResult>(
  run: (emit: EmitRunEvent, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<RunEvent<Result>, void, void> {
  const abort = new AbortController();
  const waiting: RunEvent<Result>[] = [];
  let wakeReader = () => {};
  /** What the agent waits for while there is no room. */
  let room: PromiseWithResolvers<void> | undefined;
  let end: { result: Result } | { error: unknown } | undefined;

  const emit: EmitRunEvent = (event) => {
    waiting.push(event as RunEvent<Result>);
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
