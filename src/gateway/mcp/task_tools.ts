/** Tools for what runs: seeing it, and stopping it. */

import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { EndedTask, TaskStatus } from "../../network/status.ts";
import type { FindNetwork } from "./network_port.ts";
import { toolAnswer } from "./tool_answer.ts";

const taskSchema = z.object({
  taskId: z.string(),
  agent: z.string(),
  model: z.string().optional().describe("of a call of a model: which"),
  state: z.enum(["running", "waiting", "ended"]),
  nodes: z.array(z.string()).describe("the devices that were asked, the last one last"),
  outcome: z.string().optional().describe('"ok", or the code of an error, once it has ended'),
  durationMs: z.number().describe("for how long already, or in all"),
});

/** Adds them to a server. */
export function addTaskTools(server: McpServer, find: FindNetwork): void {
  server.registerTool("list_tasks", {
    title: "List tasks",
    description: "What runs on this device or was asked for from here, and what has ended.",
    inputSchema: z.strictObject({
      limit: z.number().int().min(1).max(200).optional().describe("how many; 50"),
    }),
    outputSchema: z.object({ tasks: z.array(taskSchema) }),
    annotations: { readOnlyHint: true, openWorldHint: false },
  }, async ({ limit = 50 }, { mcpReq: { signal } }) => {
    const tasks = await (await find()).tasks(signal);
    return toolAnswer({ tasks: tasks.slice(0, limit).map(shown) });
  });
  server.registerTool(
    "cancel_task",
    {
      title: "Cancel a task",
      description: "Stops a task, wherever it runs.",
      inputSchema: z.strictObject({ taskId: z.string().describe("its id, as list_tasks has it") }),
      outputSchema: taskSchema,
      annotations: {
        readOnlyHint: false,
        destructiveHint: true,
        idempotentHint: false,
        openWorldHint: false,
      },
    },
    async ({ taskId }, { mcpReq: { signal } }) =>
      toolAnswer(shown(await (await find()).cancel({ taskId }, signal))),
  );
}

function shown(task: TaskStatus | EndedTask): z.infer<typeof taskSchema> {
  const { taskId, agent, model, state } = task;
  return state === "ended"
    ? {
      taskId,
      agent,
      ...(model !== undefined && { model }),
      state,
      nodes: [...task.nodeIds],
      outcome: task.outcome,
      durationMs: task.durationMs,
    }
    : {
      taskId,
      agent,
      ...(model !== undefined && { model }),
      state,
      nodes: task.nodeId === null ? [] : [task.nodeId],
      durationMs: task.runningMs,
    };
}
