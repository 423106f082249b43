/** What a network says of itself. */

import type { Consideration } from "../agents/run_event.ts";
import type { AgentDescription } from "../agents/agent.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";
import type { ModelDescription } from "../engines/model.ts";
import type { PeerEventType, PeerState } from "../membership/peer.ts";
import type { RunningTask } from "../tasks/held_attempt.ts";
import type { TaskOutcome } from "../tasks/history.ts";
import type { Priority } from "../tasks/waiting_line.ts";

/** Where a network is in its life; it goes through these in order, once. */
export type NetworkState = "created" | "starting" | "running" | "stopping" | "stopped";

/** What {@linkcode DistributedNetwork.getNetworkStatus} returns: plain data. */
export interface NetworkStatus {
  /** The network's name. */
  name: string;
  /** The label of this node. */
  nodeId: string;
  /** Where the network is in its life. */
  state: NetworkState;
  /** The version of the program. */
  version: string;
  /** By what its links are secured. */
  security: SecurityStatus;
  /** Where links are accepted, `host:port`; null before the start. */
  address: string | null;
  /** Peers that are alive. */
  peerCount: number;
  /** Agents that this node can run. */
  agentCount: number;
  /** Tasks that run here. */
  activeTasks: number;
  /** Tasks that wait here. */
  queuedTasks: number;
  /** How many tasks run here at a time. */
  slots: number;
  /** What this device is. */
  capabilities: DeviceCapabilities;
  /** What this node can run. */
  agents: AgentDescription[];
  /** What the engines of this device have. */
  models: ModelDescription[];
  /** What runs here, the longest first, what waits here, and what this node has asked others for. */
  tasks: TaskStatus[];
  /** The last 200 tasks that this node has asked for and that have ended, the last one first. */
  recentTasks: EndedTask[];
  /** The state that all devices share, as this node has it; null before the start. */
  sharedState: SharedStateStatus | null;
  /** The peers that are discovered, alive or suspect, by node id. */
  peers: Record<string, PeerStatus>;
  /** Listed addresses at which nobody is linked. */
  unreached: UnreachedStatus[];
  /** Nodes that claimed a label that is taken, and were refused. */
  nameConflicts: NameConflict[];
  /** Nodes that refuse this one. */
  refusedBy: RefusedBy[];
}

/** A task that goes on: here, for whomever, or on a node that this one has asked. */
export interface TaskStatus extends RunningTask {
  /** Whether it has a slot, or waits for one. */
  readonly state: "running" | "waiting";
  /** The node that has it; null while none is chosen. */
  readonly nodeId: string | null;
  /** The node that has asked for it. */
  readonly caller: string;
  /** Its place among those that wait. */
  readonly priority: Priority;
  /** Since when it runs or waits there, in milliseconds since 1970 by this machine's clock. */
  readonly since: number;
  /** What was thought of each device; only when that is asked for, and this node has chosen. */
  readonly considered?: readonly Consideration[];
}

/** A task that this node has asked for and that has ended. */
export interface EndedTask {
  /** Tells it from a {@linkcode TaskStatus}, where both are in one list. */
  readonly state: "ended";
  /** The task's id. */
  readonly taskId: string;
  /** The agent that was asked for. */
  readonly agent: string;
  /** Of a call of a model: which. */
  readonly model?: string;
  /** The nodes that were asked, one for each attempt: what the last one came to is the outcome. */
  readonly nodeIds: readonly string[];
  /** `"ok"`, or the code of the error that the caller got. */
  readonly outcome: TaskOutcome;
  /** How many attempts were made; 0 where no device could do it. */
  readonly attempts: number;
  /** From the call to its end, in milliseconds, as the caller saw it. */
  readonly durationMs: number;
  /** How long it had its slot, in milliseconds; null where the outcome is not `"ok"`. */
  readonly serviceMs: number | null;
  /** Why the last node was chosen: one sentence; empty where none was. */
  readonly reason: string;
  /** When it ended, in milliseconds since 1970 by this machine's clock. */
  readonly endedAt: number;
  /** What was thought of each device at the last choice; only when that is asked for. */
  readonly considered?: readonly Consideration[];
}

/** What {@linkcode DistributedNetwork.getNetworkStatus} can be told. */
export interface StatusOptions {
  /**
   * Whether tasks are to say what was thought of each device.
   *
   * @default {false}
   */
  explain?: boolean;
}

/** The shared state as a node has it. */
export interface SharedStateStatus {
  /** Its file; null where it is in memory, and ends with the node. */
  path: string | null;
  /** How many keys have a value; of a large state as of some seconds ago. */
  keys: number;
  /** What keys and values take, in bytes, those included that are gone and not forgotten yet. */
  bytes: number;
  /** What they may take. */
  maxBytes: number;
  /** Linked nodes that have not become like this one for half a minute. */
  differing: string[];
  /** The last checkpoint that this node has made; `createdAt` in milliseconds since 1970. */
  lastCheckpoint: { name: string; createdAt: number; keys: number } | null;
  /** Why the last checkpoint by interval could not be made. */
  checkpointProblem: string | null;
  /** A file that was damaged and put aside, as long as it is there. */
  damagedPath: string | null;
}

/** By what the links of a node are secured. */
export interface SecurityStatus {
  /** `keyed`: by the network's key. `tls`: by certificates of the operator's. `open`: not at all. */
  mode: "keyed" | "tls" | "open";
  /** Whether peers must show who they are: not of an open node, nor with `verifyPeers: false`. */
  verifiesPeers: boolean;
  /** What the newest key is called; null without one, and before the start. */
  keyTag: string | null;
  /** SHA-256 of this node's public key, in hexadecimal digits; null without one. */
  identity: string | null;
}

/** A peer as it is shown. */
export interface PeerStatus {
  /** The label of the peer. */
  nodeId: string;
  /** What it is: a node like this one, or of another program, which is never given work. */
  kind: "node" | "exo" | "hanzo-network";
  /** How it is, as far as this node knows. */
  state: PeerState;
  /** SHA-256 of its public key, in hexadecimal digits; null where it showed none. */
  identity: string | null;
  /** Whether it may be given tasks. */
  healthy: boolean;
  /** Where it accepts links, `host:port`; of several the one in use, or the one to be tried next. */
  address: string;
  /** How that was found: `"udp"`, `"manual"`, …; `"link"` when it dialled us. */
  via: string;
  /** The interface of this machine on whose network that is; null beyond a router. */
  interface: string | null;
  /** All its addresses that are known. */
  addresses: AddressStatus[];
  /** Known once a link was open. */
  capabilities: DeviceCapabilities | null;
  /** The names of its agents. */
  agents: string[];
  /** The names of its models. */
  models: string[];
  /** Tasks that run or wait there, per slot: 0 is idle, 1 is full. */
  currentLoad: number;
  /** Smoothed round trip in milliseconds. */
  latencyMs: number | null;
  /** When it was last heard of, in milliseconds since 1970 by this machine's clock. */
  lastSeen: number;
  /** Whether it was evicted and still tries to take part: nothing is wrong then. */
  evicted: boolean;
  /** Why it cannot be used, if it cannot. */
  problem: string | null;
  /** Where a dial of it has failed, if it is to be used and cannot be. */
  failing: FailingStatus | null;
}

/** One of a peer's addresses. */
export interface AddressStatus {
  /** `host:port`. */
  address: string;
  /** How it was found. */
  via: string;
  /** The interface of this machine on whose network it is; null beyond a router. */
  interface: string | null;
  /** The last measured round trip in milliseconds; null where nothing was measured. */
  latencyMs: number | null;
  /** Whether the link goes there. */
  inUse: boolean;
  /** Why it could not be reached the last time it was tried. */
  problem: string | null;
}

/** What is in the way of a peer that is known and cannot be used. */
export interface FailingStatus {
  /** `"to"`: its beacons arrive, and dialling it fails. `"both"`: nothing comes from it either. */
  direction: "to" | "both";
  /** What was dialled, `host:port`. */
  address: string;
  /** Why that failed. */
  reason: string;
  /** Whether nobody answered at all, as where a firewall drops what comes in. */
  unanswered: boolean;
}

/** A listed address at which nobody is linked. */
export interface UnreachedStatus {
  /** As it was listed, `host:port`. */
  address: string;
  /** Who lists it: `"manual"`, `"tailscale"`, `"machine"`; `"missed"`: a peer that fell silent. */
  via: string;
  /** Who is expected there, if that is known. */
  nodeId: string | null;
  /** Why nobody is linked there; null while it was not tried yet. */
  problem: string | null;
}

/** What {@linkcode DistributedNetwork.checkPeerHealth} finds. */
export interface PeerHealth {
  /** Whether it answered in time. */
  healthy: boolean;
  /** The round trip of this check in milliseconds; null without an answer. */
  latencyMs: number | null;
  /** When it was last heard of, in milliseconds since 1970 by this machine's clock. */
  lastSeen: number;
}

/** A node that claimed a label that is taken. */
export interface NameConflict {
  /** The label that both claim. */
  nodeId: string;
  /** The host that it came from. */
  host: string;
  /** Whether it was started before this node, of whose label it is: this one is refused then. */
  isOlder: boolean;
}

/** A node that refuses this one. */
export interface RefusedBy {
  /** Its label; null where it did not say. */
  nodeId: string | null;
  /** Where it accepts links, `host:port`. */
  address: string;
  /** Why, for programs: `NAME_CONFLICT` where it knows another device by this node's label. */
  code: ErrorCode;
  /** Why, in its own words. */
  reason: string;
}

/** What happens in a network, as {@linkcode DistributedNetwork.events} tells it. */
export interface NetworkEvent {
  /** What has happened. */
  type: PeerEventType;
  /** To which peer. */
  nodeId: string;
  /** The peer after the change. */
  peer: PeerStatus;
  /** Why, where that is not plain from the type. */
  reason?: string;
}
