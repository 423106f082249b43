/** Turns a run that calls back into an async iterable that its reader paces. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import type { EmitRunEvent, RunEvent, RunResult } from "./run_event.ts";

/** Events that wait for the reader before the agent has to, and how long they are, in characters. */
const MAX_WAITING = 64;
const MAX_WAITING_LENGTH = 256 * 1024;

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
  let waitingLength = 0;
  let wakeReader = () => {};
  /** What the agent waits for while there is no room. */
  let room: PromiseWithResolvers<void> | undefined;
  let end: { result: Result } | { error: unknown } | undefined;

  const emit: EmitRunEvent = (event) => {
    waiting.push(event as RunEvent<Result>);
    waitingLength += lengthOf(event);
    wakeReader();
    if (waiting.length < MAX_WAITING && waitingLength < MAX_WAITING_LENGTH) return;
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
        const event = waiting.shift()!;
        waitingLength -= lengthOf(event);
        yield event;
        if (waiting.length < MAX_WAITING / 2 && waitingLength < MAX_WAITING_LENGTH / 2) makeRoom();
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

/** Only what agents say is long. */
function lengthOf<Result extends RunResult>(event: RunEvent<Result>): number {
  if (event.type === "token") return event.text.length;
  if (event.type === "tool-call") return jsonLength(event.arguments);
  if (event.type === "tool-result") return jsonLength(event.result);
  if (event.type === "tool-error" || event.type === "agent-error") return event.reason.length;
  if (event.type === "agent-call") return event.prompt.length;
  return event.type === "agent-result" ? event.output.length : 0;
}

/** What tools are given and return is checked by no compiler: it may be nothing, or no JSON. */
function jsonLength(value: JsonValue): number {
  try {
    return JSON.stringify(value)?.length ?? 0;
  } catch {
    return 0;
  }
}
