/** `run`: one prompt to an agent or a model of the network, the answer as it is made. */

import type { RunResult } from "../../agents/run_event.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import type { Consideration } from "../../agents/run_event.ts";
import { safeText } from "../../base/safe_text.ts";
import type { NodeOutcomeBody, RunBody } from "../../gateway/control_api.ts";
import {
  type Command,
  type Invocation,
  NODE_OPTIONS,
  type OptionSpec,
  UsageError,
} from "../command.ts";
import { LiveRegion } from "../live_region.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import { consideredTable, type ShownChoice, showUsage } from "../show_tasks.ts";
import { progressBar } from "../progress_bar.ts";
import { showMilliseconds } from "../show.ts";
import { table } from "../table.ts";
import { TASK_OPTIONS, taskBody } from "../task_options.ts";
import type { Terminal } from "../terminal.ts";
import { asksModel, runModel } from "./run_model.ts";

const MODEL_OPTION: OptionSpec = {
  name: "model",
  kind: "text",
  value: "NAME",
  help: "ask this model (see: hanzo-network models), or several: the first that can be; with " +
    "--agent: only devices that have it",
};

export const command: Command = {
  positionals: "PROMPT",
  summary: "Run an agent, or ask a model, on the device that suits it best",
  options: [
    { name: "agent", kind: "text", value: "NAME", help: "the agent (see: hanzo-network agents)" },
    { name: "node", kind: "text", value: "ID", help: "only this node" },
    { name: "all", kind: "flag", help: "on every device that has the agent, at once" },
    { name: "explain", kind: "flag", help: "say what was thought of each device" },
    {
      name: "thread",
      kind: "text",
      value: "NAME",
      help: "go on with this conversation; without a PROMPT, where its last run broke off",
    },
    { name: "anew", kind: "flag", help: "do not go on where the same run broke off" },
    {
      name: "rerun",
      kind: "flag",
      help: "ask an agent again that was under way then, and may have done its work",
    },
    ...TASK_OPTIONS.map((option) => option.name === "model" ? MODEL_OPTION : option),
    ...NODE_OPTIONS,
  ],
  example: 'hanzo-network run "2^10 + sqrt(2)" --agent calculator',
  async run(invocation: Invocation): Promise<number> {
    const { positionals, options, terminal, signal } = invocation;
    if (asksModel(options)) return await runModel(invocation);
    const thread = options.text("thread");
    const [anew, rerun] = [options.flag("anew"), options.flag("rerun")];
    if (thread === undefined && (anew || rerun)) {
      throw new UsageError(`--${anew ? "anew" : "rerun"} goes with --thread.`);
    }
    if (anew && rerun) throw new UsageError("--anew and --rerun exclude each other.");
    if (anew && positionals.length === 0) throw new UsageError("--anew needs a PROMPT.");
    if (thread !== undefined && options.flag("all")) {
      throw new UsageError("--all and --thread exclude each other.");
    }
    if (positionals.length === 0 && thread === undefined) {
      throw new UsageError(
        'Say what to run: hanzo-network run "PROMPT" --agent NAME (or --model NAME)',
      );
    }
    const explain = options.flag("explain");
    if (explain && options.flag("all")) {
      throw new UsageError("--all chooses nothing that --explain could explain.");
    }
    if (options.flag("all") && options.text("node") !== undefined) {
      throw new UsageError("--all and --node exclude each other.");
    }
    if (options.flag("all") && options.text("hedge") !== undefined) {
      throw new UsageError("--all asks every device anyway: leave out --hedge.");
    }
    const body: RunBody = {
      ...await taskBody(options),
      prompt: positionals.length === 0 ? undefined : positionals.join(" "),
      explain,
      ...(thread !== undefined && { thread, resume: !anew, rerun }),
    };
    const node = await findNode(options);
    return options.flag("all")
      ? await runAll(node, body, terminal, signal)
      : await runOne(node, body, terminal, signal);
  },
};

async function runOne(
  node: NodeClient,
  body: RunBody,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  let streamed = "";
  let result: RunResult | undefined;
  const choices: (ShownChoice & { considered: Consideration[] })[] = [];
  try {
    for await (const event of node.run(body, signal)) {
      if (event.type === "result") result = event.result;
      if (event.type === "routed" && event.considered) {
        const { nodeId, reason, considered } = event;
        choices.push({ nodeId, reason, considered });
      }
      if (terminal.json) continue;
      if (event.type === "token") {
        streamed += event.text;
        terminal.write(safeText(event.text));
      } else if (event.type === "step") {
        if (streamed !== "") terminal.line();
        streamed = "";
        terminal.error(terminal.style("dim", `step ${event.step}: ${safeText(event.agent)}`));
      } else if (event.type === "fallback") {
        const why = `${event.nodeId} failed: ${safeText(event.reason)}`;
        terminal.error(terminal.style("yellow", why));
      } else if (event.type === "agent-error") {
        const why = `${safeText(event.agent)} failed: ${safeText(event.reason)}`;
        terminal.error(terminal.style("yellow", why));
      } else if (event.type === "agent-result") {
        const { agent, nodeId } = event;
        terminal.error(terminal.style("dim", `asked ${safeText(agent)} on ${safeText(nodeId)}`));
      }
    }
  } catch (thrown) {
    // Why it broke off is told in a line of its own.
    if (streamed !== "" && !streamed.endsWith("\n")) terminal.line();
    throw thrown;
  }
  if (result === undefined) throw node.brokenOff();
  if (terminal.json) {
    const considered = choices.map((choice) => choice.considered);
    terminal.value(considered.length === 0 ? result : { ...result, considered });
    return 0;
  }
  // Between two calls of tools more is said than the answer, which then is the end of it.
  if (!streamed.endsWith(result.output)) {
    terminal.write(`${streamed === "" ? "" : "\n"}${safeText(result.output)}`);
  }
  terminal.line();
  const { agent, nodeId, durationMs, reason, usage } = result;
  terminal.error(
    terminal.style("dim", `${agent} on ${nodeId} in ${showMilliseconds(durationMs)}: ${reason}`),
  );
  if (usage !== undefined) terminal.error(terminal.style("dim", showUsage(usage)));
  for (const [i, choice] of choices.entries()) {
    if (choices.length > 1) terminal.error(`Attempt ${i + 1}:`);
    const lines = consideredTable(choice.considered, choice, terminal.columns);
    for (const line of lines) terminal.error(line);
  }
  return 0;
}

async function runAll(
  node: NodeClient,
  body: RunBody,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const bar = new LiveRegion(terminal.stderr);
  let outcomes: NodeOutcomeBody[];
  try {
    outcomes = await node.runAll(body, signal, (progress) => {
      bar.show([progressBar(progress, progress.total ?? 0)]);
    });
  } finally {
    bar.show([]);
  }
  const failed = outcomes.some((outcome) => "error" in outcome);
  if (terminal.json) {
    terminal.value(outcomes);
  } else {
    for (const line of outcomeTable(outcomes, terminal.columns)) terminal.line(line);
  }
  return failed ? 1 : 0;
}

/** A column for each scalar of the agents' data, or else one for the text of the answer. */
function outcomeTable(outcomes: readonly NodeOutcomeBody[], columns: number): string[] {
  const records = outcomes.map((one) => "result" in one ? scalarsOf(one.result.data) : undefined);
  const keys = [...new Set(records.flatMap((record) => Object.keys(record ?? {})))];
  const headings = keys.length > 0 ? keys.map((key) => key.toUpperCase()) : ["ANSWER"];
  const rows = outcomes.map((outcome, i) => {
    if ("error" in outcome) return [outcome.nodeId, `failed: ${outcome.error.message}`];
    const record = records[i];
    const cells = keys.length > 0
      ? keys.map((key) => String(record?.[key] ?? "–"))
      : [outcome.result.output];
    return [outcome.nodeId, ...cells];
  });
  return table(["NODE", ...headings], rows, columns);
}

function scalarsOf(data: JsonValue | undefined): Record<string, JsonValue> | undefined {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return undefined;
  return Object.fromEntries(Object.entries(data).filter(([, value]) => typeof value !== "object"));
}
