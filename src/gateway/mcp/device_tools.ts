/** Tools that show what there is: devices, agents, models. */

import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { DeviceCapabilities } from "../../device/capabilities.ts";
import type { FindNetwork, NetworkPort } from "./network_port.ts";
import { known, toolAnswer } from "./tool_answer.ts";

const READS = { readOnlyHint: true, openWorldHint: false } as const;
const NOTHING = z.strictObject({});

const deviceSchema = z.object({
  nodeId: z.string().describe("its label: by this it is chosen"),
  isThisDevice: z.boolean(),
  state: z.string().describe("alive, suspect or discovered"),
  healthy: z.boolean().describe("whether it may be given work"),
  load: z.number().describe("tasks per slot: 0 is idle, 1 is full"),
  latencyMs: z.number().optional(),
  model: z.string().optional(),
  chip: z.string().optional(),
  os: z.string().optional(),
  cores: z.number().optional(),
  memoryMb: z.number().optional(),
  vramMb: z.number().optional(),
  agents: z.array(z.string()),
  models: z.array(z.string()),
});

const agentSchema = z.object({
  name: z.string(),
  description: z.string(),
  workload: z.string(),
  tools: z.array(z.string()),
  nodes: z.array(z.string()).describe("the devices that have it"),
});

const modelSchema = z.object({
  name: z.string(),
  devices: z.array(z.object({
    nodeId: z.string(),
    engine: z.string(),
    loaded: z.boolean(),
    contextLength: z.number().optional(),
    sizeBytes: z.number().optional(),
    capabilities: z.array(z.string()),
  })),
});

/** A device, as programs are told of it. */
export type Device = z.infer<typeof deviceSchema>;

/** Adds them to a server. */
export function addDeviceTools(server: McpServer, find: FindNetwork): void {
  server.registerTool(
    "list_devices",
    {
      title: "List devices",
      description:
        "The devices of the network: what each is, how busy, which agents and models it " +
        "has.",
      inputSchema: NOTHING,
      outputSchema: z.object({ devices: z.array(deviceSchema) }),
      annotations: READS,
    },
    async (_, { mcpReq: { signal } }) =>
      toolAnswer({ devices: await devices(await find(), signal) }),
  );
  server.registerTool(
    "list_agents",
    {
      title: "List agents",
      description: "The agents of the network, for run_agent.",
      inputSchema: NOTHING,
      outputSchema: z.object({ agents: z.array(agentSchema) }),
      annotations: READS,
    },
    async (_, { mcpReq: { signal } }) => toolAnswer({ agents: await agents(await find(), signal) }),
  );
  server.registerTool(
    "list_models",
    {
      title: "List models",
      description: "The models of the network and the devices that have them, for ask_model.",
      inputSchema: NOTHING,
      outputSchema: z.object({ models: z.array(modelSchema) }),
      annotations: READS,
    },
    async (_, { mcpReq: { signal } }) => toolAnswer({ models: await models(await find(), signal) }),
  );
}

/** All devices, this one first. */
export async function devices(network: NetworkPort, signal?: AbortSignal): Promise<Device[]> {
  const status = await network.status(signal);
  const busy = status.activeTasks + status.queuedTasks;
  const here: Device = {
    nodeId: status.nodeId,
    isThisDevice: true,
    state: "alive",
    healthy: status.state === "running",
    load: status.slots === 0 ? 1 : busy / status.slots,
    ...hardware(status.capabilities),
    agents: status.agents.map(({ name }) => name),
    models: status.models.map(({ name }) => name),
  };
  const others = Object.values(status.peers).map((peer): Device => ({
    nodeId: peer.nodeId,
    isThisDevice: false,
    state: peer.state,
    healthy: peer.healthy,
    load: peer.currentLoad,
    ...known({ latencyMs: peer.latencyMs }),
    ...hardware(peer.capabilities),
    agents: peer.agents,
    models: peer.models,
  }));
  return [here, ...others];
}

function hardware(capabilities: DeviceCapabilities | null) {
  if (capabilities === null) return {};
  const { model, chip, os, cores, memory, vram } = capabilities;
  return known({ model, chip, os, cores, memoryMb: memory, vramMb: vram });
}

/** All agents. */
export async function agents(
  network: NetworkPort,
  signal?: AbortSignal,
): Promise<z.infer<typeof agentSchema>[]> {
  return (await network.agents(signal)).map(({ agent, nodes }) => ({
    name: agent.name,
    description: agent.description,
    workload: agent.workload,
    tools: [...agent.tools],
    nodes,
  }));
}

/** All models. */
export async function models(
  network: NetworkPort,
  signal?: AbortSignal,
): Promise<z.infer<typeof modelSchema>[]> {
  return (await network.models(signal)).map(({ name, devices }) => ({
    name,
    devices: devices.map((one) => ({
      nodeId: one.nodeId,
      engine: one.engine,
      loaded: one.loaded,
      ...known({ contextLength: one.contextLength, sizeBytes: one.sizeBytes }),
      capabilities: [...one.capabilities],
    })),
  }));
}
