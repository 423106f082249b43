/** The agent `calculator`: arithmetic with units and functions, on every node, without a model. */

import { z } from "zod";
import { type Clock, systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { type Agent, createAgent } from "../agent.ts";
import { createTool, type Tool } from "../tool.ts";
import { CalculatorThread } from "./calculator_thread.ts";

// Longer ones are not arithmetic that a person or a model asks for.
const MAX_EXPRESSION_LENGTH = 1000;
// The slowest expressions of use take milliseconds; `combinations(1e9, 5e8)` takes 24 s.
const TIMEOUT_MS = 2000;
const IDLE_MS = 60_000;
const EXAMPLE = "Try: 2^10 + sqrt(2), 3 inch to cm, or mean(1, 2, 4).";

/** What {@linkcode createCalculatorAgent} takes. */
export interface CalculatorOptions {
  /** Times the evaluation. @default {systemClock} */
  clock?: Clock;
  /**
   * How long one expression may take, in milliseconds.
   *
   * @default {2000}
   */
  timeoutMs?: number;
  /**
   * After how long without work its thread ends, in milliseconds; the next expression then takes
   * the time that loading mathjs takes.
   *
   * @default {60_000}
   */
  idleMs?: number;
}

/** The agent and the tool, and the end of the thread that it may have started. */
export interface Calculator {
  /** The agent. */
  readonly agent: Agent;
  /** The same for other agents, as a tool. */
  readonly tool: Tool;
  /** Ends the thread; what it was at fails with `CANCELLED`. The agent stays usable. */
  readonly dispose: () => void;
}

/**
 * Makes the agent `calculator`. Its answer is the value as text; its data are the expression, the
 * value as it was computed (a number, a truth value, or `re` and `im`) and the unit, if any.
 *
 * Expressions come from strangers: they are evaluated in a thread of their own, which also spares
 * a node that never calculates the 170 ms and 50 MB of mathjs.
 */
export function createCalculatorAgent(options: CalculatorOptions = {}): Calculator {
  const { clock = systemClock, timeoutMs = TIMEOUT_MS, idleMs = IDLE_MS } = options;
  const thread = new CalculatorThread({ clock, timeoutMs, idleMs });
  const calculate = async (prompt: string, signal: AbortSignal) => {
    const expression = expressionIn(prompt);
    try {
      const { output, ...value } = await thread.evaluate(expression, signal);
      return { output, data: { expression, ...value } };
    } catch (thrown) {
      if (signal.aborted || thrown instanceof NetworkError) throw thrown;
      throw refusal(expression, (thrown as Error).message, thrown);
    }
  };
  const agent = createAgent({
    name: "calculator",
    description: "Does arithmetic with units and functions, such as 3 inch to cm or " +
      "2^10 + sqrt(2)",
    workload: "light",
    idempotent: true,
    run: ({ prompt, signal }) => calculate(prompt, signal),
  });
  const tool = createTool({
    name: "calculator",
    description: "Does arithmetic with units and functions. " + EXAMPLE,
    parameters: z.object({ expression: z.string() }),
    handler: async ({ expression }, { signal }) => (await calculate(expression, signal)).output,
  });
  return { agent, tool, dispose: () => thread.stop() };
}

/** The arithmetic in a sentence like "What is 2 + 2?". */
function expressionIn(prompt: string): string {
  const expression = prompt.slice(0, MAX_EXPRESSION_LENGTH + 100).trim()
    .replace(/^(?:what\s+is|what's|calculate|compute)\b[:\s]*/i, "")
    .replace(/[\s?=]+$/, "");
  if (expression === "") throw refusal("", "there is no expression");
  if (expression.length > MAX_EXPRESSION_LENGTH) {
    throw refusal(
      expression.slice(0, 40) + "…",
      `it has more than ${MAX_EXPRESSION_LENGTH} characters`,
    );
  }
  return expression;
}

function refusal(expression: string, reason: string, cause?: unknown): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot calculate ${JSON.stringify(expression)}: ${reason}. ${EXAMPLE}`,
    { cause },
  );
}
