/** `run`: one prompt to an agent of the network, the answer as it is made. */

import type { RunResult } from "../../agents/run_event.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import type { Consideration } from "../../agents/run_event.ts";
import type { Workload } from "../../agents/requirements.ts";
import { needGranted } from "../../base/permissions.ts";
import { safeText } from "../../base/safe_text.ts";
import type { RunBody } from "../../gateway/control_api.ts";
import { RoutingStrategy } from "../../routing/strategy.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { findNode, type NodeClient, type NodeOutcomeBody } from "../node_client.ts";
import { showMilliseconds } from "../show.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const STRATEGIES = Object.values(RoutingStrategy);
const WORKLOADS = ["heavy", "light", "background"] as const satisfies Workload[];
/** A petabyte. */
const MAX_MB = 2 ** 30;
const MAX_TIMEOUT_S = 7 * 24 * 3_600;

export const command: Command = {
  positionals: "PROMPT",
  summary: "Run an agent on the device that suits it best",
  options: [
    { name: "agent", kind: "text", value: "NAME", help: "the agent (see: hanzo-network agents)" },
    { name: "node", kind: "text", value: "ID", help: "only this node" },
    { name: "all", kind: "flag", help: "on every device that has the agent, at once" },
    {
      name: "strategy",
      kind: "text",
      value: "NAME",
      help: `how to choose the device: ${STRATEGIES.join(", ")}`,
    },
    {
      name: "workload",
      kind: "text",
      value: "KIND",
      help: `how the work weighs, instead of what the agent says: ${WORKLOADS.join(", ")}`,
    },
    { name: "label", kind: "list", value: "NAME", help: "only devices with this label" },
    {
      name: "chip",
      kind: "text",
      value: "TEXT",
      help: 'only devices with such a chip: "RTX 4090"',
    },
    { name: "vendor", kind: "text", value: "NAME", help: "only devices with a chip of this maker" },
    { name: "gpu", kind: "flag", help: "only devices with a GPU" },
    { name: "memory", kind: "text", value: "MB", help: "only devices with so much memory" },
    { name: "vram", kind: "text", value: "MB", help: "only devices with so much video memory" },
    { name: "near", kind: "list", value: "ID", help: "a node that holds what the work is on" },
    { name: "explain", kind: "flag", help: "say what was thought of each device" },
    {
      name: "context",
      kind: "text",
      value: "FILE",
      help: "a text to go with the prompt; - is stdin",
    },
    {
      name: "timeout",
      kind: "text",
      value: "SECONDS",
      help: "how long it may take (default: 300)",
    },
    ...NODE_OPTIONS,
  ],
  example: 'hanzo-network run "2^10 + sqrt(2)" --agent calculator',
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    if (positionals.length === 0) {
      throw new UsageError('Say what to run: hanzo-network run "PROMPT" --agent NAME');
    }
    const strategy = options.text("strategy");
    if (strategy !== undefined && !isStrategy(strategy)) {
      throw new UsageError(`--strategy is "${strategy}", expected ${STRATEGIES.join(", ")}.`);
    }
    const workload = options.text("workload");
    if (workload !== undefined && !isWorkload(workload)) {
      throw new UsageError(`--workload is "${workload}", expected ${WORKLOADS.join(", ")}.`);
    }
    const explain = options.flag("explain");
    if (explain && options.flag("all")) {
      throw new UsageError("--all chooses nothing that --explain could explain.");
    }
    if (options.flag("all") && options.text("node") !== undefined) {
      throw new UsageError("--all and --node exclude each other.");
    }
    const timeout = options.integer("timeout", 1, MAX_TIMEOUT_S);
    const context = options.text("context");
    const body: RunBody = {
      prompt: positionals.join(" "),
      agent: options.text("agent"),
      node: options.text("node"),
      strategy,
      workload,
      requirements: {
        memory: options.integer("memory", 1, MAX_MB),
        vram: options.integer("vram", 1, MAX_MB),
        gpu: options.flag("gpu") || undefined,
        chip: options.text("chip"),
        vendor: options.text("vendor"),
        labels: options.list("label"),
      },
      near: options.list("near"),
      explain,
      timeoutMs: timeout === undefined ? undefined : timeout * 1000,
      context: context === undefined ? undefined : await readContext(context),
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
  const considered: Consideration[][] = [];
  for await (const event of node.run(body, signal)) {
    if (event.type === "result") result = event.result;
    if (event.type === "routed" && event.considered) considered.push(event.considered);
    if (terminal.json) continue;
    if (event.type === "token") {
      streamed += event.text;
      terminal.write(safeText(event.text));
    } else if (event.type === "fallback") {
      terminal.error(terminal.style("yellow", `${event.nodeId} failed: ${safeText(event.reason)}`));
    }
  }
  if (result === undefined) throw new Error("The node ended the answer without a result.");
  if (terminal.json) {
    terminal.value(considered.length === 0 ? result : { ...result, considered });
    return 0;
  }
  if (streamed !== result.output) {
    terminal.write(`${streamed === "" ? "" : "\n"}${safeText(result.output)}`);
  }
  terminal.line();
  const { agent, nodeId, durationMs, reason } = result;
  terminal.error(
    terminal.style("dim", `${agent} on ${nodeId} in ${showMilliseconds(durationMs)}: ${reason}`),
  );
  for (const [i, attempt] of considered.entries()) {
    if (considered.length > 1) terminal.error(`Attempt ${i + 1}:`);
    for (const line of consideredTable(attempt, terminal.columns)) terminal.error(line);
  }
  return 0;
}

function consideredTable(considered: readonly Consideration[], columns: number): string[] {
  const rows = considered.map(({ nodeId, place, reason }) => [
    place === null ? "–" : `${place}`,
    nodeId,
    reason,
  ]);
  return table(["#", "NODE", "WHY"], rows, columns);
}

async function runAll(
  node: NodeClient,
  body: RunBody,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const outcomes = await node.runAll(body, signal);
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

async function readContext(file: string): Promise<string> {
  if (file === "-") return await new Response(Deno.stdin.readable).text();
  needGranted(`Cannot read ${file}`, { name: "read", path: file });
  try {
    return await Deno.readTextFile(file);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) {
      throw new UsageError(`--context: there is no file ${file}.`);
    }
    throw thrown;
  }
}

function isWorkload(text: string): text is Workload {
  return (WORKLOADS as readonly string[]).includes(text);
}

function isStrategy(text: string): text is RoutingStrategy {
  return (STRATEGIES as readonly string[]).includes(text);
}
