/** Options of the commands that run agents: where and how. */

import type { Requirements, Workload } from "../agents/requirements.ts";
import { needGranted } from "../base/permissions.ts";
import { fileError } from "../base/private_file.ts";
import type { TaskBody } from "../gateway/control_api.ts";
import { RoutingStrategy } from "../routing/strategy.ts";
import type { Priority } from "../tasks/waiting_line.ts";
import { type OptionSpec, type OptionValues, UsageError } from "./command.ts";

const STRATEGIES = Object.values(RoutingStrategy);
const WORKLOADS = ["heavy", "light", "background"] as const satisfies Workload[];
const PRECISIONS = ["fp32", "fp16", "int8"] as const;
const PRIORITIES = ["high", "normal", "low"] as const satisfies Priority[];
/** A petabyte. */
const MAX_MB = 2 ** 30;
/** A week: what a task may take. */
export const MAX_TIMEOUT_S = 7 * 24 * 3_600;

/** See the top of the file. */
export const TASK_OPTIONS: readonly OptionSpec[] = [
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
  {
    name: "priority",
    kind: "text",
    value: "KIND",
    help: `its place among those that wait: ${PRIORITIES.join(", ")}`,
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
  {
    name: "tflops",
    kind: "list",
    value: "[PRECISION=]N",
    help: "only devices with so many TFLOPS at fp32, fp16 (default) or int8: fp32=20",
  },
  { name: "model", kind: "text", value: "NAME", help: "only devices that can run this model" },
  { name: "tool", kind: "list", value: "NAME", help: "only devices whose agents have this tool" },
  { name: "near", kind: "list", value: "ID", help: "a node that holds what the work is on" },
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
  {
    name: "hedge",
    kind: "text",
    value: "MS",
    help: "ask a second device when the first has said nothing for so long",
  },
];

/**
 * What these options say.
 *
 * @throws {UsageError} When one of them cannot be.
 */
export async function taskBody(options: OptionValues): Promise<TaskBody> {
  const strategy = options.text("strategy");
  if (strategy !== undefined && !isStrategy(strategy)) {
    throw new UsageError(`--strategy is "${strategy}", expected ${STRATEGIES.join(", ")}.`);
  }
  const workload = options.text("workload");
  if (workload !== undefined && !isWorkload(workload)) {
    throw new UsageError(`--workload is "${workload}", expected ${WORKLOADS.join(", ")}.`);
  }
  const priority = options.text("priority");
  if (priority !== undefined && !isPriority(priority)) {
    throw new UsageError(`--priority is "${priority}", expected ${PRIORITIES.join(", ")}.`);
  }
  const timeout = options.integer("timeout", 1, MAX_TIMEOUT_S);
  const context = options.text("context");
  return {
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
      flops: flopsOf(options.list("tflops")),
      model: options.text("model"),
      tools: options.list("tool"),
      labels: options.list("label"),
    },
    near: options.list("near"),
    priority,
    hedgeAfterMs: options.integer("hedge", 0, MAX_TIMEOUT_S * 1000),
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    context: context === undefined ? undefined : await readInput(context),
  };
}

/**
 * `fp32=20`, or `20` for half precision.
 *
 * @throws {UsageError} When one of them says anything else.
 */
function flopsOf(texts: readonly string[]): Requirements["flops"] {
  if (texts.length === 0) return undefined;
  const flops: Requirements["flops"] = {};
  for (const text of texts) {
    const [, precision = "fp16", figure] = /^(?:([^=]*)=)?(\d+(?:\.\d+)?)$/.exec(text) ?? [];
    if (figure === undefined || !isPrecision(precision)) {
      throw new UsageError(
        `--tflops is ${JSON.stringify(text)}, expected a number, or one with its precision: ` +
          `${PRECISIONS.map((one) => `${one}=N`).join(", ")}.`,
      );
    }
    flops[precision] = Number(figure);
  }
  return flops;
}

/**
 * The text of a file that the command line names; `-` is stdin.
 *
 * @throws {UsageError} When there is no such file.
 */
export async function readInput(file: string): Promise<string> {
  if (file === "-") return await new Response(Deno.stdin.readable).text();
  needGranted(`Cannot read ${file}`, { name: "read", path: file });
  try {
    return await Deno.readTextFile(file);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) {
      throw new UsageError(`Cannot read: there is no file ${file}.`);
    }
    if (thrown instanceof Deno.errors.IsADirectory) {
      throw new UsageError(`Cannot read ${file}: it is a directory. Name a file.`);
    }
    throw fileError("read", file, thrown);
  }
}

function isWorkload(text: string): text is Workload {
  return (WORKLOADS as readonly string[]).includes(text);
}

function isPrecision(text: string): text is (typeof PRECISIONS)[number] {
  return (PRECISIONS as readonly string[]).includes(text);
}

function isPriority(text: string): text is Priority {
  return (PRIORITIES as readonly string[]).includes(text);
}

function isStrategy(text: string): text is RoutingStrategy {
  return (STRATEGIES as readonly string[]).includes(text);
}
