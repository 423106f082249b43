/** What a node tells of itself and its peers, as a message of `proto/`. */

import type { DeviceCapabilities, DeviceFlops } from "../device/capabilities.ts";
import { enumName } from "./agent_messages.ts";
import type { PlainMessage } from "./proto_codec.ts";

/** Of the status of a node, what programs may know. */
export interface ShownStatus {
  readonly nodeId: string;
  /** The network's name. */
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly capabilities: DeviceCapabilities;
  readonly slots: number;
  readonly activeTasks: number;
  readonly queuedTasks: number;
  readonly peers: Readonly<Record<string, ShownPeer>>;
  readonly tasks: readonly ShownTask[];
}

/** A peer, as far as programs may know it. */
export interface ShownPeer {
  readonly nodeId: string;
  readonly state: string;
  readonly address: string;
  readonly healthy: boolean;
  readonly capabilities: DeviceCapabilities | null;
  readonly agents: readonly string[];
  readonly currentLoad: number;
  readonly latencyMs: number | null;
  readonly problem: string | null;
}

/** A task that goes on. */
export interface ShownTask {
  readonly taskId: string;
  readonly agent: string;
  readonly state: string;
  readonly nodeId: string | null;
  readonly caller: string;
  readonly attempt: number;
  readonly priority: string;
  readonly runningMs: number;
}

/** The message of a status: field by field, so that what is added there is not told here. */
export function statusMessage(status: ShownStatus): PlainMessage {
  return {
    node_id: status.nodeId,
    network: status.name,
    version: status.version,
    state: status.state,
    device: deviceMessage(status.capabilities),
    slots: status.slots,
    running_tasks: status.activeTasks,
    queued_tasks: status.queuedTasks,
    peers: Object.values(status.peers).map((peer) => ({
      node_id: peer.nodeId,
      state: peer.state,
      address: peer.address,
      healthy: peer.healthy,
      agents: peer.agents,
      current_load: peer.currentLoad,
      ...(peer.capabilities !== null && { device: deviceMessage(peer.capabilities) }),
      ...known({ latency_ms: peer.latencyMs, problem: peer.problem }),
    })),
    tasks: status.tasks.map((task) => ({
      task_id: task.taskId,
      agent: task.agent,
      state: task.state,
      node_id: task.nodeId ?? "",
      caller: task.caller,
      attempt: task.attempt,
      priority: enumName("PRIORITY", task.priority),
      running_ms: task.runningMs,
    })),
  };
}

function deviceMessage(device: DeviceCapabilities): PlainMessage {
  const { model, chip, memory, vram, cores, flops, gpus, os, arch } = device;
  return {
    ...known({ model, chip, memory, vram, cores }),
    flops: flopsMessage(flops),
    gpus: gpus.map(({ name }) => name),
    os,
    arch,
  };
}

function flopsMessage({ fp32, fp16, int8 }: DeviceFlops): PlainMessage {
  return known({ fp32, fp16, int8 });
}

/** Without what is unknown. */
function known(fields: Record<string, string | number | null>): PlainMessage {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
