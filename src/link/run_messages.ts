/** What is asked for in a run and what comes of it, as messages of `proto/` and as plain data. */

import type { AgentResult } from "../agents/run_state.ts";
import type { AgentAnswer } from "../agents/agent.ts";
import type { Requirements, Workload } from "../agents/requirements.ts";
import type { AgentEvent, RunEvent } from "../agents/run_event.ts";
import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import { endsInHalf, WholeCharacters } from "../base/whole_characters.ts";
import { enumValue, readRequirements } from "./agent_messages.ts";
import { MAX_BODY_BYTES } from "./call.ts";
import type { PlainMessage } from "./proto_codec.ts";

/** What a program asks for, checked as far as its form goes. */
export interface AskedRun {
  readonly prompt: string;
  readonly context: string;
  readonly agent: string | undefined;
  readonly nodeId: string | undefined;
  /** As the strategies are called, such as `"least-loaded"`. */
  readonly strategy: string | undefined;
  readonly workload: Workload | undefined;
  readonly requirements: Requirements | undefined;
  readonly near: readonly string[];
  readonly priority: "high" | "normal" | "low" | undefined;
  readonly timeoutMs: number | undefined;
  readonly hedgeAfterMs: number | undefined;
  readonly explain: boolean;
  readonly thread: string | undefined;
  /** Whether a run of the thread that broke off goes on. */
  readonly resume: boolean;
  readonly rerun: boolean;
}

/** What a program that serves agents is asked for. */
export interface AskedOfProgram {
  readonly agent: string;
  readonly prompt: string;
  readonly context: string;
  readonly taskId: string;
}

/** What a program that serves agents says while it runs one; `callId` may be "", or anything. */
export type ProgramEvent =
  | Extract<AgentEvent, { type: "token" | "tool-call" | "tool-result" | "tool-error" }>
  | { type: "answer"; answer: Partial<AgentAnswer> };

const MAX_NEAR = 256;
/** Of the JSON of one event. */
const JSON_BOUNDS = { maxBytes: MAX_BODY_BYTES, maxDepth: 64 };
/** Of the text of one token, in UTF-16 units: 192 KiB at most, far below what libraries take. */
const MAX_TOKEN_LENGTH = 64 * 1024;

const encoder = new TextEncoder();

/**
 * Reads a `RunRequest` of a program.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the field that does not fit.
 */
export function readRunRequest(message: PlainMessage): AskedRun {
  const { prompt = "", context = "", timeout_ms: timeoutMs, explain = false } = message;
  const { thread = "", anew = false, rerun = false } = message;
  const near: string[] = message.near;
  const wrong = near.find((one) => !isLabel(one));
  if (near.length > MAX_NEAR) throw misfit("near", `${near.length} nodes`, `${MAX_NEAR} at most`);
  if (wrong !== undefined) throw misfit("near", wrong, "node ids");
  return {
    prompt,
    context,
    agent: optionalLabel("agent", message.agent),
    nodeId: optionalLabel("node_id", message.node_id),
    strategy: enumValue("STRATEGY", message.strategy),
    workload: enumValue("WORKLOAD", message.workload) as Workload | undefined,
    requirements: readRequirements(message.requirements),
    near,
    priority: enumValue("PRIORITY", message.priority) as AskedRun["priority"],
    timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
    hedgeAfterMs: message.hedge_after_ms,
    explain,
    thread: thread === "" ? undefined : thread,
    resume: !anew,
    rerun,
  };
}

/** A `RunRequest` to a program that serves agents. */
export function programRequest(asked: AskedOfProgram): PlainMessage {
  const { agent, prompt, context, taskId } = asked;
  return { agent, prompt, context, task_id: taskId };
}

/** The messages of the events of one run. */
export class RunEventMessages {
  readonly #characters = new WholeCharacters();

  /** The messages of the next event: of a long token several, of half a character none. */
  *of(event: RunEvent): Generator<PlainMessage, void, void> {
    if (event.type !== "token") return yield messageOf(event);
    yield* pieces(this.#characters.with(event.text));
  }
}

function messageOf(event: Exclude<RunEvent, { type: "token" }>): PlainMessage {
  switch (event.type) {
    case "routed": {
      const { taskId, attempt, nodeId, reason, considered = [] } = event;
      return {
        routed: {
          task_id: taskId,
          attempt,
          node_id: nodeId,
          reason,
          considered: considered.map((one) => ({
            node_id: one.nodeId,
            reason: one.reason,
            ...(one.place !== null && { place: one.place }),
            ...(one.finishMs !== null && { finish_ms: one.finishMs }),
          })),
        },
      };
    }
    case "started":
      return { started: attemptOf(event) };
    case "fallback":
      return { fallback: { ...attemptOf(event), reason: event.reason } };
    case "tool-call": {
      const argumentsJson = toJson("the arguments of a tool", event.arguments);
      const { tool, callId } = event;
      return { tool_call: { tool, arguments_json: argumentsJson, call_id: callId } };
    }
    case "tool-result": {
      const resultJson = toJson("a tool's result", event.result);
      const { tool, callId } = event;
      return { tool_result: { tool, result_json: resultJson, call_id: callId } };
    }
    case "tool-error": {
      const { tool, reason, callId } = event;
      return { tool_error: { tool, reason: reason.toWellFormed(), call_id: callId } };
    }
    case "agent-call": {
      const { agent, prompt, callId } = event;
      return { agent_call: { agent, prompt: prompt.toWellFormed(), call_id: callId } };
    }
    case "agent-result":
      return { agent_result: { ...agentResult(event), call_id: event.callId } };
    case "agent-error": {
      const { agent, reason, callId } = event;
      return { agent_error: { agent, reason: reason.toWellFormed(), call_id: callId } };
    }
    case "step": {
      const { network, step, agent } = event;
      return { step: { network, step, agent } };
    }
    case "step-result": {
      const { network, step, result } = event;
      return { step_result: { network, step, result: agentResult(result) } };
    }
    case "result": {
      const { data, usage, ...result } = event.result;
      return {
        result: {
          task_id: result.taskId,
          agent: result.agent,
          node_id: result.nodeId,
          output: result.output.toWellFormed(),
          ...(data !== undefined && { data_json: toJson("the answer's data", data) }),
          attempts: result.attempts,
          duration_ms: result.durationMs,
          service_ms: result.serviceMs,
          reason: result.reason,
          ...(usage !== undefined && {
            usage: {
              input_tokens: usage.inputTokens,
              output_tokens: usage.outputTokens,
              model_calls: usage.modelCalls,
            },
          }),
        },
      };
    }
  }
}

function agentResult(
  { agent, nodeId, taskId, output }: Pick<AgentResult, "agent" | "nodeId" | "taskId" | "output">,
): PlainMessage {
  return { agent, node_id: nodeId, task_id: taskId, output: output.toWellFormed() };
}

/**
 * Reads an event of a program that serves agents; undefined for what only nodes say, or is new.
 *
 * @throws {NetworkError} `PROTOCOL` when its JSON is none, or too deep.
 */
export function readProgramEvent(message: PlainMessage): ProgramEvent | undefined {
  const { token, tool_call: call, tool_result: result, tool_error: failure } = message;
  if (token !== undefined) return { type: "token", text: token.text ?? "" };
  if (call !== undefined) {
    const { tool = "", arguments_json: json = "", call_id: callId = "" } = call;
    return { type: "tool-call", callId, tool, arguments: fromJson(json) };
  }
  if (result !== undefined) {
    const { tool = "", result_json: json = "", call_id: callId = "" } = result;
    return { type: "tool-result", callId, tool, result: fromJson(json) };
  }
  if (failure !== undefined) {
    const { tool = "", reason = "", call_id: callId = "" } = failure;
    return { type: "tool-error", callId, tool, reason };
  }
  const { result: answer } = message;
  if (answer === undefined) return undefined;
  const { output, data_json: json, usage } = answer;
  return {
    type: "answer",
    answer: {
      ...(output !== undefined && { output }),
      ...(json !== undefined && { data: fromJson(json) }),
      ...(usage !== undefined && {
        usage: {
          inputTokens: usage.input_tokens ?? 0,
          outputTokens: usage.output_tokens ?? 0,
          modelCalls: usage.model_calls ?? 0,
        },
      }),
    },
  };
}

function attemptOf({ taskId, attempt, nodeId }: RunEvent & { type: "started" | "fallback" }) {
  return { task_id: taskId, attempt, node_id: nodeId };
}

/** No piece ends between the halves of a surrogate pair: each alone would be no text. */
function* pieces(text: string): Generator<PlainMessage, void, void> {
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + MAX_TOKEN_LENGTH, text.length);
    if (end < text.length && endsInHalf(text, end)) end--;
    yield { token: { text: text.slice(at, end).toWellFormed() } };
    at = end;
  }
}

/** An agent of this process may say what no JSON holds. */
function toJson(what: string, value: JsonValue): string {
  try {
    // Undefined, which the types exclude, has no JSON.
    return JSON.stringify(value) ?? "null";
  } catch (thrown) {
    throw NetworkError.from(thrown, "AGENT_FAILED", `Cannot send ${what} as JSON`);
  }
}

/** Empty is null: what a program has not set. */
function fromJson(json: string): JsonValue {
  if (json === "") return null;
  return parseBoundedJson(encoder.encode(json), JSON_BOUNDS) as JsonValue;
}

function optionalLabel(field: string, value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (isLabel(value)) return value;
  throw misfit(
    field,
    value,
    'a label: 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit',
  );
}

function misfit(field: string, value: string, expected: string): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: ${field} is ${
      JSON.stringify(safeName(value, 64))
    }, expected ${expected}.`,
  );
}
