/** The parts of a node, put together in `create.ts`. */

import type { McpServers } from "../agents/mcp/servers.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";
import type { DeviceCondition } from "../device/condition.ts";
import type { EngineWatch } from "../engines/engine_watch.ts";
import type { ForeignPeer } from "../discovery/foreign_peers.ts";
import type { LinkPool } from "../link/link_pool.ts";
import type { ModelCalls } from "./models/model_calls.ts";
import type { Membership } from "../membership/membership.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { Dispatcher } from "../tasks/dispatcher.ts";
import type { Executor } from "../tasks/executor.ts";
import type { Invites } from "../security/invites.ts";
import type { Trust } from "../security/trust.ts";
import type { NetworkInterface } from "../transport/interfaces.ts";
import type { AgentPrograms } from "./agent_programs.ts";
import type { FindAgent, OfferedModel } from "./catalog.ts";
import type { Discoveries } from "./discoveries.ts";
import type { Evicted } from "./evicted.ts";
import type { ResolvedOptions } from "./options.ts";
import type { OwnAgents } from "./own_agents.ts";
import type { StateHost } from "./state_host.ts";
import type { NameConflict, RefusedBy } from "./status.ts";
import type { ThreadRuns } from "./threads/thread_runs.ts";

/** The parts of a node. */
export interface NetworkParts {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly self: () => NodeDescription;
  /** Changes what this node says of itself. */
  readonly describe: (change: Partial<NodeDescription>) => void;
  /** Whom this node trusts; undefined before the start. */
  readonly trust: () => Trust | undefined;
  /** Those that are out; undefined where nobody can be invited. */
  readonly invites: () => Invites | undefined;
  /** Reads, or makes, its keys. */
  readonly openTrust: () => Promise<void>;
  readonly detect: () => Promise<DeviceCapabilities>;
  readonly readCondition: () => Promise<DeviceCondition>;
  /** Makes that runs are recorded as traces, where that is asked for. */
  readonly openTracer: () => Promise<void>;
  readonly listenHost: string;
  readonly pool: LinkPool;
  readonly membership: Membership;
  readonly discoveries: Discoveries;
  readonly executor: Executor;
  readonly dispatcher: Dispatcher;
  readonly state: StateHost;
  readonly threadRuns: ThreadRuns;
  /** Makes an id that nobody else has: a ULID. */
  readonly newId: () => string;
  readonly ownAgents: OwnAgents;
  readonly agentPrograms: AgentPrograms;
  /** The MCP servers of its agents: it ends them, with the node and with the agents. */
  readonly mcpServers: McpServers;
  readonly engines: EngineWatch;
  readonly modelCalls: ModelCalls;
  /** The models of the whole network. */
  readonly offeredModels: () => readonly OfferedModel[];
  readonly findAgent: FindAgent;
  /** The interfaces of this machine now. */
  readonly interfaces: () => readonly NetworkInterface[];
  readonly candidates: () => readonly Candidate[];
  readonly conflicts: () => NameConflict[];
  readonly refusedBy: () => RefusedBy[];
  /** Who was evicted and still tries to take part. */
  readonly evicted: Pick<Evicted, "has">;
  readonly builtinAgents: ReadonlySet<string>;
  /** Peers of other programs. */
  readonly foreign: () => readonly ForeignPeer[];
  /** Lets go of what the built-in agents hold. */
  readonly dispose: () => void;
}
