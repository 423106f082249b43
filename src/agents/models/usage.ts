/** What the models of a run take, added up. */

import type { AgentUsage, ModelUsage } from "./model.ts";

/** Nothing yet. */
export const NO_USAGE: AgentUsage = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  modelCalls: 0,
});

const FIELDS = ["inputTokens", "outputTokens", "modelCalls"] as const;

/** With one call more; not every server tells what it took. */
export function withCall(usage: AgentUsage, call: ModelUsage | undefined): AgentUsage {
  return {
    inputTokens: usage.inputTokens + countIn(call?.inputTokens),
    outputTokens: usage.outputTokens + countIn(call?.outputTokens),
    modelCalls: usage.modelCalls + 1,
  };
}

/** Both together; undefined where neither is known. */
export function sumOf(
  a: AgentUsage | undefined,
  b: AgentUsage | undefined,
): AgentUsage | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    modelCalls: a.modelCalls + b.modelCalls,
  };
}

/** What is wrong with what an agent's file, or a peer, says that its models took. */
export function usageFault(usage: unknown): string | undefined {
  if (usage === undefined) return undefined;
  const fields = typeof usage === "object" && usage !== null
    ? usage as Record<string, unknown>
    : {};
  const wrong = FIELDS.find((field) => !isCount(fields[field]));
  return wrong && `its usage has no ${wrong} that is a whole number from 0`;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What a server says need not be a count. */
function countIn(told: number | undefined): number {
  const rounded = Math.round(told ?? 0);
  return isCount(rounded) ? rounded : 0;
}
