/** Tools that have work done: by an agent, by a model. */

import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";
import { CallLabels } from "../../agents/call_labels.ts";
import type { RunEvent } from "../../agents/run_event.ts";
import { NetworkError } from "../../base/errors.ts";
import { parseWith } from "../../base/schema.ts";
import type { ChatBody, FindNetwork, NetworkPort } from "./network_port.ts";
import { Progress } from "./progress.ts";
import { anyJson, known, toolAnswer } from "./tool_answer.ts";

/** How long a model may take where nothing else is said: it may have to be loaded first. */
const MODEL_TIMEOUT_MS = 600_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;

const timeoutMs = z.number().int().min(1).max(MAX_TIMEOUT_MS).optional()
  .describe("how long it may take, in milliseconds");

const runSchema = z.strictObject({
  agent: z.string().describe("its name, as list_agents has it"),
  prompt: z.string().describe("what it is asked"),
  node: z.string().optional().describe("only this device; by default the one that suits best"),
  thread: z.string().optional().describe("the conversation that goes on; begun if there is none"),
  timeoutMs,
});

const ranSchema = z.object({
  output: z.string(),
  data: anyJson.optional(),
  agent: z.string(),
  nodeId: z.string().describe("the device that did it"),
  taskId: z.string(),
  attempts: z.number(),
  durationMs: z.number(),
  reason: z.string().describe("why that device"),
});

const askSchema = z.strictObject({
  model: z.string().describe("its name, as list_models has it"),
  prompt: z.string(),
  system: z.string().optional().describe("how it is to behave"),
  maxTokens: z.number().int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  timeoutMs,
});

const usageSchema = z.object({ promptTokens: z.number(), completionTokens: z.number() });

const askedSchema = z.object({
  output: z.string(),
  model: z.string(),
  finishReason: z.string().optional(),
  usage: usageSchema.optional(),
});

/** Of a chat completion, what is told. */
const completionSchema = z.object({
  model: z.string().optional(),
  choices: z.array(z.object({
    message: z.object({ content: z.string().nullish() }),
    finish_reason: z.string().nullish(),
  })).min(1),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

/** Agents and models may do whatever they can: reach the world, and change it. */
const WORKS = { readOnlyHint: false, destructiveHint: true, openWorldHint: true } as const;
/** A model alone only answers. */
const ANSWERS = { readOnlyHint: true, openWorldHint: true } as const;

/** Adds them to a server. */
export function addRunTools(server: McpServer, find: FindNetwork): void {
  server.registerTool("run_agent", {
    title: "Run an agent",
    description: "Runs an agent on the device of the network that suits it best, and waits for " +
      "its answer. Cancelling the call cancels the task.",
    inputSchema: runSchema,
    outputSchema: ranSchema,
    annotations: WORKS,
  }, async (args, { mcpReq }) => await runAgent(await find(), args, mcpReq));
  server.registerTool("ask_model", {
    title: "Ask a model",
    description: "Asks a model of the network one question, on the device that suits best.",
    inputSchema: askSchema,
    outputSchema: askedSchema,
    annotations: ANSWERS,
  }, async (args, { mcpReq }) => await askModel(await find(), args, mcpReq.signal));
}

async function runAgent(
  network: NetworkPort,
  args: z.infer<typeof runSchema>,
  mcpReq: ServerContext["mcpReq"],
): Promise<CallToolResult> {
  const progress = new Progress(mcpReq);
  const calls = new CallLabels();
  try {
    for await (const event of network.run(args, mcpReq.signal)) {
      if (event.type !== "result") {
        progress.tell(told(event, calls));
        continue;
      }
      const { output, data, agent, nodeId, taskId, attempts, durationMs, reason } = event.result;
      return toolAnswer({
        output,
        ...(data !== undefined && { data }),
        agent,
        nodeId,
        taskId,
        attempts,
        durationMs,
        reason,
      });
    }
  } finally {
    await progress.end();
  }
  throw new NetworkError(
    "UNKNOWN_OUTCOME",
    `The node ended before agent "${args.agent}" had answered, so whether its work was done is ` +
      "not known. See: list_tasks",
  );
}

/** An event in a few words: what the agent says is told as it is. */
function told(event: Exclude<RunEvent, { type: "result" }>, calls: CallLabels): string {
  switch (event.type) {
    case "token":
      return event.text;
    case "routed":
      return `${event.nodeId}: ${event.reason}\n`;
    case "fallback":
      return `${event.nodeId} failed: ${event.reason}\n`;
    case "tool-call":
      return `calls ${calls.of(event)}\n`;
    case "tool-result":
      return `${calls.of(event)} has answered\n`;
    case "agent-call":
      return `asks ${calls.of(event)}\n`;
    case "agent-result":
      return `${calls.of(event)} has answered on ${event.nodeId}\n`;
    case "tool-error":
    case "agent-error":
      return `${calls.of(event)} failed: ${event.reason}\n`;
    case "step":
      return `step ${event.step}: ${event.agent}\n`;
    default:
      return "";
  }
}

async function askModel(
  network: NetworkPort,
  args: z.infer<typeof askSchema>,
  signal: AbortSignal,
): Promise<CallToolResult> {
  const { model, prompt, system, maxTokens, temperature, timeoutMs = MODEL_TIMEOUT_MS } = args;
  const body: ChatBody = {
    model,
    messages: [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      { role: "user", content: prompt },
    ],
    stream: false,
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(temperature !== undefined && { temperature }),
  };
  const answered = await network.chat(body, timeoutMs, signal);
  const action = `Cannot read what model "${model}" answered`;
  const { choices: [choice], usage, ...rest } = parseWith(
    completionSchema,
    answered,
    "PROTOCOL",
    action,
  );
  return toolAnswer({
    output: choice.message.content ?? "",
    model: rest.model ?? model,
    ...known({ finishReason: choice.finish_reason }),
    ...(usage && {
      usage: { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens },
    }),
  });
}
