/** The tools that one answer of a model calls: side by side, bounded, their failures as answers. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import type { AgentContext } from "../agent_context.ts";
import type { ModelMessage, ModelToolCall } from "./model.ts";
import type { OfferedTool } from "./model_tools.ts";

/** So many run at a time: tools reach out, and what they reach is often small. */
const MAX_AT_ONCE = 8;
/** More calls than this in one answer are a model that has lost its way. */
const MAX_CALLS = 64;
/** Of what a tool says, the model is told so much, in UTF-16 units: it has to fit into its context. */
const MAX_RESULT_LENGTH = 64 * 1024;
/** After so many answers in a row with the same failure it is not going to be mended. */
const MAX_FAILURES = 3;

/** Calls tools for a model, and remembers what fails again and again. */
export class ToolCalls {
  readonly #agent: string;
  readonly #context: Pick<AgentContext, "callTool" | "signal">;
  /** How often in a row, by what has failed. */
  #failures: ReadonlyMap<string, number> = new Map();

  constructor(agent: string, context: Pick<AgentContext, "callTool" | "signal">) {
    this.#agent = agent;
    this.#context = context;
  }

  /**
   * What the model is told of its calls, in their order.
   *
   * @throws {NetworkError} `AGENT_FAILED` when the same has failed three times in a row; the
   * signal's reason.
   */
  async answer(
    calls: readonly ModelToolCall[],
    offered: ReadonlyMap<string, OfferedTool>,
  ): Promise<ModelMessage[]> {
    const told: Told[] = new Array(calls.length);
    let next = 0;
    const work = async () => {
      while (next < calls.length) {
        const at = next++;
        told[at] = at < MAX_CALLS
          ? await this.#call(calls[at], offered)
          : { text: `Not called: an answer may call ${MAX_CALLS} tools. Call fewer at a time.` };
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, calls.length) }, work));
    this.#note(told);
    return calls.map(({ id }, i) => ({ role: "tool", toolCallId: id, content: told[i].text }));
  }

  async #call(
    { id, name, arguments: given }: ModelToolCall,
    offered: ReadonlyMap<string, OfferedTool>,
  ): Promise<Told> {
    const { signal, callTool } = this.#context;
    signal.throwIfAborted();
    const found = offered.get(name);
    if (found === undefined) {
      const names = [...offered.keys()].join(", ");
      return failed("unknown tool", `There is no tool ${JSON.stringify(name)}, only: ${names}.`);
    }
    if (typeof given === "string") {
      return failed(`${name}: arguments`, "Its arguments are no JSON. Write a JSON object.");
    }
    try {
      const result = await callTool(found.tool, found.take(given), { callId: id });
      return { text: toText(result) };
    } catch (thrown) {
      // That is not the tool's failure, and nobody is there to be told.
      signal.throwIfAborted();
      const why = describeError(thrown);
      const isArguments = thrown instanceof NetworkError && thrown.code === "INVALID_ARGUMENT";
      return failed(isArguments ? `${name}: arguments` : `${name}: ${why}`, why);
    }
  }

  #note(told: readonly Told[]): void {
    const failures = new Map<string, number>();
    for (const { failure, text } of told) {
      if (failure === undefined) continue;
      const count = (this.#failures.get(failure) ?? 0) + 1;
      if (count >= MAX_FAILURES) {
        throw new NetworkError(
          "AGENT_FAILED",
          `Agent "${this.#agent}" gave up: its model called a tool in vain ${count} times in a row. ` +
            `${text} Use a model that calls tools well, or mend the tool.`,
        );
      }
      failures.set(failure, count);
    }
    this.#failures = failures;
  }
}

/** What the model is told of one call. */
interface Told {
  readonly text: string;
  /** What has failed, if anything has: the same text for the same failure. */
  readonly failure?: string;
}

function failed(failure: string, why: string): Told {
  return { text: bounded(`Error: ${why}`), failure };
}

/** What tools return is checked by no compiler. */
function toText(result: JsonValue): string {
  return bounded(typeof result === "string" ? result : JSON.stringify(result) ?? "null");
}

function bounded(text: string): string {
  if (text.length <= MAX_RESULT_LENGTH) return text;
  const left = text.length - MAX_RESULT_LENGTH;
  return `${text.slice(0, MAX_RESULT_LENGTH)}\n[cut: ${left} of ${text.length} characters more]`;
}
