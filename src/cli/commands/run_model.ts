/** `run --model`: one prompt to a model of the network, what it says as it says it. */

import { systemClock } from "../../base/clock.ts";
import { safeName, safeText } from "../../base/safe_text.ts";
import type { Used } from "../../dialects/chat_answer.ts";
import { type Invocation, type OptionValues, UsageError } from "../command.ts";
import { findNode } from "../node_client.ts";
import { showMilliseconds } from "../show.ts";
import { MAX_TIMEOUT_S, readInput } from "../task_options.ts";

/** As long as a run of an agent. */
const DEFAULT_TIMEOUT_S = 300;
/** What is said to agents, and of where they run. */
const FLAGS = ["all", "explain", "anew", "rerun", "gpu"] as const;
const TEXTS = [
  "thread",
  "strategy",
  "workload",
  "priority",
  "chip",
  "vendor",
  "memory",
  "vram",
  "hedge",
] as const;
const LISTS = ["label", "tflops", "tool", "near"] as const;

/** Whether a model is asked: with an agent, `--model` says what its device must have. */
export function asksModel(options: OptionValues): boolean {
  return options.text("model") !== undefined && options.text("agent") === undefined;
}

/** Asks the model that `--model` names. */
export async function runModel(
  { positionals, options, terminal, signal }: Invocation,
): Promise<number> {
  const agents = [
    ...FLAGS.filter((name) => options.flag(name)),
    ...TEXTS.filter((name) => options.text(name) !== undefined),
    ...LISTS.filter((name) => options.list(name).length > 0),
  ];
  if (agents.length > 0) {
    throw new UsageError(
      `--${
        agents[0]
      } is for agents, and --model alone asks a model. Name the agent that is to run ` +
        `where the model is: --agent NAME`,
    );
  }
  if (positionals.length === 0) {
    throw new UsageError('Say what to ask: hanzo-network run "PROMPT" --model NAME');
  }
  const model = options.text("model")!;
  const timeout = options.integer("timeout", 1, MAX_TIMEOUT_S) ?? DEFAULT_TIMEOUT_S;
  const file = options.text("context");
  const context = file === undefined ? undefined : await readInput(file);
  const node = await findNode(options);
  const began = systemClock.now();
  const answer = await node.streamChat({
    model,
    messages: [
      ...context === undefined ? [] : [{ role: "system" as const, content: context }],
      { role: "user", content: positionals.join(" ") },
    ],
    stream: true,
    stream_options: { include_usage: true },
  }, { node: options.text("node"), timeoutMs: timeout * 1_000, signal });

  const { model: asked, nodeId, taskId, pieces } = answer;
  let output = "";
  let reasoning = "";
  let finishReason: string | null = null;
  let used: Used | undefined;
  let firstMs: number | undefined;
  try {
    for await (const { text, thought, finish, used: told } of pieces) {
      output += text;
      reasoning += thought;
      finishReason = finish ?? finishReason;
      used = told ?? used;
      if (text !== "" || thought !== "") firstMs ??= systemClock.now() - began;
      if (!terminal.json && text !== "") terminal.write(safeText(text));
    }
  } catch (thrown) {
    // Why it broke off is told in a line of its own.
    if (!terminal.json && output !== "" && !output.endsWith("\n")) terminal.line();
    throw thrown;
  }
  const durationMs = systemClock.now() - began;
  const tokens = used === undefined || used.output === 0 ? null : used.output;
  if (terminal.json) {
    terminal.value({
      model: asked,
      nodeId,
      taskId,
      output,
      ...(reasoning !== "" && { reasoning }),
      finishReason,
      tokens,
      firstTokenMs: firstMs ?? null,
      durationMs,
    });
    return 0;
  }
  terminal.line();
  const said = [
    `${safeName(asked)} on ${safeName(nodeId)} in ${showMilliseconds(durationMs)}`,
    ...firstMs === undefined ? [] : [`the first word after ${showMilliseconds(firstMs)}`],
    ...tokens === null ? [] : [`${tokens} tokens`],
    ...finishReason === "length" ? ["cut off: it may say no more"] : [],
  ];
  terminal.error(terminal.style("dim", said.join(", ")));
  return 0;
}
