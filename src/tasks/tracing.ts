/** Runs as spans of a trace, for nodes that record traces: what was asked, where it ran, and why. */

import type { EmitRunEvent, RunEvent, RunResult } from "../agents/run_event.ts";
import { NetworkError } from "../base/errors.ts";
import type { TaskOutcome } from "./history.ts";
import type { RunRequest } from "./run_request.ts";
import type { Served, Task } from "./task.ts";

/** Records traces; nobody has to. */
export interface Tracer {
  /**
   * Begins a span.
   *
   * @param parent The span that it belongs to, as {@linkcode TaskSpan.traceparent} said it, perhaps
   * on another node.
   */
  begin(name: string, attributes: SpanAttributes, parent: string | undefined): TaskSpan;
}

/** What a span says of itself. */
export type SpanAttributes = Readonly<Record<string, string | number | readonly string[]>>;

/** A piece of work that is recorded. */
export interface TaskSpan {
  /** What goes with a task to another node: https://www.w3.org/TR/trace-context/#traceparent-header */
  readonly traceparent: string;
  /** Something happened on the way. */
  event(name: string, attributes: SpanAttributes): void;
  /** It has ended; {@linkcode TaskOutcome} says how. */
  end(outcome: TaskOutcome, attributes?: SpanAttributes): void;
}

/** A span around a run, from the question to the result, with the reasons of each choice. */
export async function traceRun(
  tracer: Tracer,
  taskId: string,
  request: RunRequest,
  emit: EmitRunEvent | undefined,
  run: (request: RunRequest, emit: EmitRunEvent) => Promise<RunResult>,
): Promise<RunResult> {
  const { agent: { name: agent }, traceparent: parent, explain = false } = request;
  const span = tracer.begin(`run ${agent}`, { "task.id": taskId, "agent.name": agent }, parent);
  try {
    const result = await run(
      { ...request, explain: true, traceparent: span.traceparent },
      (event) => {
        note(span, event);
        if (event.type !== "routed" || explain) return emit?.(event);
        const { considered: _, ...plain } = event;
        return emit?.(plain);
      },
    );
    const { nodeId, attempts, serviceMs } = result;
    span.end("ok", {
      "node.id": nodeId,
      "task.attempts": attempts,
      "task.service_ms": serviceMs,
    });
    return result;
  } catch (thrown) {
    span.end(NetworkError.from(thrown).code);
    throw thrown;
  }
}

/** A span around an attempt on the device that runs it. */
export function traceAttempt(
  tracer: Tracer,
  { taskId, attempt, agent, traceparent }: Task,
  nodeId: string,
  serve: (traceparent: string) => Served | Promise<Served>,
): Promise<Served> {
  const span = tracer.begin(`agent ${agent}`, {
    "task.id": taskId,
    "task.attempt": attempt,
    "agent.name": agent,
    "node.id": nodeId,
  }, traceparent);
  return Promise.try(() => serve(span.traceparent)).then((served) => {
    span.end("ok");
    return served;
  }, (thrown) => {
    span.end(NetworkError.from(thrown).code);
    throw thrown;
  });
}

function note(span: TaskSpan, event: RunEvent): void {
  if (event.type === "routed") {
    const { nodeId, attempt, reason, considered = [] } = event;
    span.event("routed", {
      "node.id": nodeId,
      "task.attempt": attempt,
      reason,
      considered: considered.map(({ place, nodeId, reason }) =>
        `${place ?? "–"} ${nodeId}: ${reason}`
      ),
    });
  } else if (event.type === "fallback") {
    const { nodeId, attempt, reason } = event;
    span.event("fallback", { "node.id": nodeId, "task.attempt": attempt, reason });
  } else if (event.type === "started") {
    span.event("started", { "node.id": event.nodeId, "task.attempt": event.attempt });
  }
}
