/** What a network can be told, with each default and its reason. */

import type { Agent } from "../agents/agent.ts";
import type { AgentLoop } from "../agents/networks/agent_loop.ts";
import {
  type AgentNetwork,
  agentsOf,
  checkIterations,
  loopsOf,
} from "../agents/networks/agent_network.ts";
import {
  type AgentRouter,
  type RouterFunction,
  toRouter,
} from "../agents/networks/agent_router.ts";
import type { NetworkHooks } from "../agents/networks/network_hooks.ts";
import { DEFAULT_MODEL, isModelName } from "../agents/models/model_name.ts";
import type { NodeToolOptions } from "../agents/tools/node_tools.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { silentLogger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import { type CapabilityOverrides, parseCapabilityOverrides } from "../device/capabilities.ts";
import {
  type EngineOptions,
  type EnginePlace,
  enginePlaces,
  parseEngine,
} from "../engines/place.ts";
import { checkAliases, type ModelAliases } from "./models/model_names.ts";
import { parsePeer } from "../discovery/manual.ts";
import { type Address, formatAddress } from "../link/frame_stream.ts";
import type { ManualPeer } from "../discovery/manual_peer.ts";
import { MAX_LABELS } from "../agents/requirements.ts";
import { type CustomRouter, RoutingStrategy } from "../routing/strategy.ts";
import { defaultNodeId } from "./node_label.ts";
import { checkAgentNames } from "./own_agents.ts";

/** What {@linkcode createDistributedNetwork} takes. Everything has a default. */
export interface NetworkOptions {
  /**
   * What this node can run, beside the built-in `monitor`, `calculator` and `assistant`; one of its own with
   * such a name takes the built-in one's place. A network of agents is an agent, and brings its own.
   *
   * @default {[]}
   */
  agents?: readonly (Agent | AgentNetwork)[];
  /**
   * Says after each answer which agent of the network goes on, in every run of this node's program.
   * By default a run is of one agent.
   */
  router?: AgentRouter | RouterFunction;
  /**
   * How many steps such a run may have, 1 to 1,000; then it ends with the last answer.
   *
   * @default {10}
   */
  maxIterations?: number;
  /** What the program is told while such a run goes on, and where it may step in. */
  hooks?: NetworkHooks;
  /**
   * Programs on this machine that serve agents in another language: `"127.0.0.1:50051"`, the `Run`
   * and `ListAgents` of `proto/hanzo_network_v1.proto` in the clear. What they offer is offered by
   * this node for as long as they are there.
   *
   * @default {[]}
   */
  agentUrls?: readonly string[];
  /**
   * Engines of models beside those that are found by themselves: the base URL of one, or more of it.
   * Behind a `#`, which is never sent, stand the variable of the environment that holds its key, and
   * whether it is asked only when nobody else has the model, which is so of what is not on this
   * machine: `"https://api.openai.com/v1#key-env=OPENAI_API_KEY"`, `"http://10.0.0.7:8000#last-resort=false"`.
   *
   * @default {[]}
   */
  engines?: readonly (string | EngineOptions)[];
  /**
   * Other names of models, for all that is asked of this node: for each one model, or several, the
   * first of which is asked as long as anybody has it: `{ "gpt-4o": ["gpt-4o", "llama3.3"] }`.
   *
   * @default {{}}
   */
  modelAliases?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * Whether engines are looked for on the known ports of the loopback: Ollama 11434, LM Studio 1234,
   * llama.cpp 8080, vLLM 8000, exo 52415, Jan 1337. By default so, unless the variable
   * `HANZO_NETWORK_NO_ENGINES` of the environment is `true`.
   */
  findEngines?: boolean;
  /**
   * What the agents of this node may reach outside of the network, by the tools that come with it:
   * nothing, unless it is said here.
   *
   * @default {{}}
   */
  tools?: NodeToolOptions;
  /**
   * The model of the built-in `assistant`, as the network knows it: a name, or several with commas
   * between them.
   *
   * @default {"default"} the best that the network has
   */
  assistantModel?: string;
  /**
   * The network's name. Nodes of different names ignore each other. By default the one that came
   * with the key, which is `"hanzo"` where nobody gave another.
   */
  name?: string;
  /**
   * The label of this node: letters, digits, `.`, `_` and `-`, 63 at most. By default the host's
   * name and four random digits.
   */
  nodeId?: string;
  /**
   * Where links are accepted, 0 to 65535. By default 5681 or, where that is taken, one of the next
   * hundred; a port that is given here is used or refused. 0 lets the system choose.
   */
  listenPort?: number;
  /**
   * The UDP port of the beacons, the same on every node; the nodes of one machine share it.
   *
   * @default {5678}
   */
  broadcastPort?: number;
  /**
   * How nodes are found; several ways run at once. `configPath` or `peers` add `"manual"`, and
   * `tailscale` adds `"tailscale"`, without being named here.
   *
   * @default {"udp"}
   */
  discoveryMode?: DiscoveryMode | readonly DiscoveryMode[];
  /** A file that lists nodes, JSON or TOML; it is read again whenever it changes. */
  configPath?: string;
  /**
   * Nodes that are dialled for as long as this one runs: `"host:port"`, or the same in parts.
   *
   * @default {[]}
   */
  peers?: readonly (string | ManualPeer)[];
  /**
   * Whether to look for nodes on the tailnet of this device, and how.
   *
   * @default {false}
   */
  tailscale?: boolean | TailscaleOptions;
  /**
   * Where this machine keeps the network's key, and its nodes what is theirs; nodes of one machine
   * that share it are of one network. By default the platform's usual place, as for
   * `hanzo-network up`; without permission for it the key lives and ends with the process.
   */
  dataDirectory?: string;
  /**
   * The interfaces to use, by name; `"lo"` is the loopback on every system, and alone keeps the
   * node to its machine. By default every one that may lead to a device.
   *
   * @default {[]}
   */
  networkInterfaces?: readonly string[];
  /**
   * This node's certificate, and those between it and the authority: a file of PEM. With `tlsKey`
   * and `tlsCa` the operator's own authority takes the place of the network's key; its certificates
   * must be for the labels of the nodes. The files are read again when they change.
   */
  tlsCert?: string;
  /** The private key of {@linkcode NetworkOptions.tlsCert}: a file of PEM. */
  tlsKey?: string;
  /** The authorities whose certificates count: a file of PEM. */
  tlsCa?: string;
  /**
   * Whether peers must show a certificate of `tlsCa`. Without it links are encrypted with whoever
   * is there; only with `tlsCert`, and to private addresses.
   *
   * @default {true}
   */
  verifyPeers?: boolean;
  /**
   * Whether to talk to other machines without key and encryption: `true` for all private addresses,
   * or a CIDR range of them such as `"192.168.1.0/24"`.
   *
   * @default {false}
   */
  open?: boolean | string;
  /**
   * Whether nodes of other machines may run agents here while the network is open.
   *
   * @default {false}
   */
  openAcceptTasks?: boolean;
  /**
   * Whether an open node is seen by peers of other programs, exo before 1.0 and the Python
   * hanzo-network, and lists them. exo plans parts of models for everybody that it sees, which this
   * node refuses; exo can leave it out by `allowed_node_ids`, or this option can.
   *
   * @default {true}
   */
  existingPeers?: boolean;
  /**
   * How often the shared state is kept as a checkpoint of this node's, if anything was written since
   * the last time, in milliseconds: 60,000 to 604,800,000 (a week), or 0 for never. It is on because
   * what somebody deletes by mistake is deleted on all devices at once, which is seen too late.
   *
   * @default {3600000}
   */
  checkpointIntervalMs?: number;
  /**
   * How many of these stay, the newest, 1 to 1,000; fewer when they take more than 256 MiB together.
   * Those that were made by name stay until they are deleted.
   *
   * @default {24}
   */
  keptCheckpoints?: number;
  /** What this device is, instead of what is found; what is left out is found. */
  deviceCapabilities?: CapabilityOverrides;
  /**
   * What the owner calls this device, for requirements: `["gpu-room"]`; 32 at most, each 1 to 63
   * letters, digits, `.`, `_` or `-`.
   *
   * @default {[]}
   */
  labels?: readonly string[];
  /**
   * How devices are chosen.
   *
   * @default {RoutingStrategy.CapabilityBased}
   */
  routingStrategy?: RoutingStrategy;
  /** Chooses instead of the strategy. */
  customRouter?: CustomRouter;
  /**
   * Between two rounds of pings, in milliseconds, 50 to 60,000. A peer that owes an answer for one
   * and a half is suspect and gets no new work; after eight, but never before 8 s, it is dead
   * unless others reach it.
   *
   * @default {1000}
   */
  healthCheckIntervalMs?: number;
  /**
   * How many tasks run here at a time, 1 to 4,096; four times as many may wait. By default half of
   * the cores, 2 to 8: an agent that computes needs a core, and one must be left for the links.
   */
  slots?: number;
  /**
   * Where the log goes.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
}

/** How nodes are found. */
export type DiscoveryMode = "udp" | "manual" | "tailscale";

/** How to look for nodes on a tailnet. */
export interface TailscaleOptions {
  /** The `tailscale` command; by default where the system usually has it. */
  path?: string;
  /**
   * A token of Tailscale's API: with it nodes tell each other their ports in the attributes of
   * their devices. Without it every device of the tailnet is tried on the usual port.
   */
  apiKey?: string;
  /** The tailnet of that API; by default the one that the token belongs to. */
  tailnet?: string;
  /** The base URL of that API, where it is not Tailscale's own; Headscale has another. */
  apiUrl?: string;
}

/** Certificates of an authority of the operator's own. */
export interface OwnTls {
  /** Files of PEM. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly verifyPeers: boolean;
}

/** {@linkcode NetworkOptions} copied, filled, checked and frozen. */
export interface ResolvedOptions {
  readonly agents: readonly Agent[];
  /** How those of them go on that are networks, by name. */
  readonly agentLoops: ReadonlyMap<string, AgentLoop>;
  /** How runs go from agent to agent; without a router each is of one agent. */
  readonly defaultRouting: Readonly<Pick<NetworkOptions, "router" | "maxIterations" | "hooks">>;
  readonly agentPrograms: readonly Address[];
  /** Those that are named. */
  readonly engines: readonly EnginePlace[];
  readonly modelAliases: ModelAliases;
  /** Undefined: as the system says. */
  readonly findEngines: boolean | undefined;
  readonly tools: NodeToolOptions;
  readonly assistantModel: string;
  /** Undefined: the one that comes with the key. */
  readonly name: string | undefined;
  readonly nodeId: string;
  /** Whether somebody chose the label: only then is there something to keep under it. */
  readonly isNamed: boolean;
  readonly listenPort: number | undefined;
  readonly broadcastPort: number;
  readonly discoveryModes: ReadonlySet<DiscoveryMode>;
  readonly configPath: string | undefined;
  readonly peers: readonly ManualPeer[];
  readonly tailscale: TailscaleOptions;
  readonly dataDirectory: string | undefined;
  readonly networkInterfaces: readonly string[];
  readonly tls: OwnTls | undefined;
  readonly open: boolean | string;
  readonly openAcceptTasks: boolean;
  readonly existingPeers: boolean;
  /** 0: there are none. */
  readonly checkpointIntervalMs: number;
  readonly keptCheckpoints: number;
  readonly deviceCapabilities: CapabilityOverrides;
  readonly labels: readonly string[];
  readonly routingStrategy: RoutingStrategy;
  readonly customRouter: CustomRouter | undefined;
  readonly healthCheckIntervalMs: number;
  readonly slots: number;
  readonly logger: Logger;
}

/** Every {@linkcode DiscoveryMode}. */
export const DISCOVERY_MODES: readonly DiscoveryMode[] = ["udp", "manual", "tailscale"];
/** The first port that is tried for links when none is given: the specification's. */
export const DEFAULT_LISTEN_PORT = 5681;
/** What a network is called when nobody has named it. */
export const DEFAULT_NETWORK_NAME = "hanzo";
/** The port of the beacons: the specification's and that of existing peers. */
export const DEFAULT_BROADCAST_PORT = 5678;

const WEEK_MS = 604_800_000;

/**
 * Copies, fills and checks options.
 *
 * @param host What the defaults follow from: the host's name, its cores, chance, and
 * where it keeps data.
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the option, what it was and what it may be.
 */
export function resolveOptions(
  options: NetworkOptions,
  host: { name: string; cores: number; random: Random; dataDirectory?: string },
): ResolvedOptions {
  const resolved: ResolvedOptions = {
    agents: Object.freeze(agentsOf(options.agents ?? [])),
    agentLoops: loopsOf(options.agents ?? []),
    defaultRouting: defaultRouting(options),
    agentPrograms: agentPrograms(options.agentUrls ?? []),
    engines: Object.freeze(enginePlaces((options.engines ?? []).map(parseEngine), [])),
    modelAliases: checkAliases(options.modelAliases ?? {}),
    findEngines: options.findEngines,
    tools: allowedTools(options.tools ?? {}),
    assistantModel: options.assistantModel ?? DEFAULT_MODEL,
    name: options.name,
    isNamed: options.nodeId !== undefined,
    nodeId: options.nodeId ?? defaultNodeId(host.name, host.random),
    listenPort: options.listenPort,
    broadcastPort: options.broadcastPort ?? DEFAULT_BROADCAST_PORT,
    discoveryModes: discoveryModes(options),
    configPath: options.configPath,
    peers: Object.freeze((options.peers ?? []).map(toPeer)),
    tailscale: typeof options.tailscale === "object" ? { ...options.tailscale } : {},
    dataDirectory: options.dataDirectory ?? host.dataDirectory,
    networkInterfaces: Object.freeze([...options.networkInterfaces ?? []]),
    tls: ownTls(options),
    open: options.open ?? false,
    openAcceptTasks: options.openAcceptTasks ?? false,
    existingPeers: options.existingPeers ?? true,
    checkpointIntervalMs: options.checkpointIntervalMs ?? 3_600_000,
    keptCheckpoints: options.keptCheckpoints ?? 24,
    deviceCapabilities: parseCapabilityOverrides(options.deviceCapabilities ?? {}),
    labels: Object.freeze([...new Set(options.labels ?? [])]),
    routingStrategy: options.routingStrategy ?? RoutingStrategy.CapabilityBased,
    customRouter: options.customRouter,
    healthCheckIntervalMs: options.healthCheckIntervalMs ?? 1_000,
    slots: options.slots ?? Math.min(8, Math.max(2, Math.floor(host.cores / 2))),
    logger: options.logger ?? silentLogger,
  };
  check(resolved);
  return Object.freeze(resolved);
}

function discoveryModes(
  { discoveryMode = "udp", configPath, peers = [], tailscale = false }: NetworkOptions,
): ReadonlySet<DiscoveryMode> {
  const modes = new Set(typeof discoveryMode === "string" ? [discoveryMode] : discoveryMode);
  for (const mode of modes) {
    if (!DISCOVERY_MODES.includes(mode)) {
      refuse("discoveryMode", mode, DISCOVERY_MODES.map((it) => `"${it}"`).join(", "));
    }
  }
  if (configPath !== undefined || peers.length > 0) modes.add("manual");
  else if (modes.has("manual")) refuse("discoveryMode", "manual", "it with configPath or peers");
  if (tailscale !== false) modes.add("tailscale");
  return modes;
}

function defaultRouting(
  { router, maxIterations, hooks }: NetworkOptions,
): ResolvedOptions["defaultRouting"] {
  if (maxIterations !== undefined) checkIterations("Cannot create network", maxIterations);
  return Object.freeze({ router: router && toRouter(router), maxIterations, hooks });
}

function ownTls(options: NetworkOptions): OwnTls | undefined {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca, verifyPeers = true } = options;
  if (cert !== undefined && key !== undefined && ca !== undefined) {
    return Object.freeze({ cert, key, ca, verifyPeers });
  }
  if (cert !== undefined || key !== undefined || ca !== undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot create network: tlsCert, tlsKey and tlsCa belong together. Give all three, or none.",
    );
  }
  if (!verifyPeers) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot create network: verifyPeers is false, and a network with a key always verifies. " +
        "Leave it out, or give tlsCert, tlsKey and tlsCa.",
    );
  }
  return undefined;
}

function allowedTools({ httpRequest, webSearch }: NodeToolOptions): NodeToolOptions {
  return Object.freeze({
    ...(httpRequest && { httpRequest: structuredClone(httpRequest) }),
    ...(webSearch && { webSearch: structuredClone(webSearch) }),
  });
}

/** Only on this machine: what goes there is not encrypted. */
function agentPrograms(urls: readonly string[]): Address[] {
  const parsed = urls.map((url) => {
    const [, host, port] = /^(?:(?:http|grpc):\/\/)?(\[::1\]|[^:/[\]]+):(\d{1,5})\/?$/.exec(url) ??
      [];
    const isHere = host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
    if (!isHere || Number(port) < 1 || Number(port) > 65_535) {
      refuse("agentUrls", url, '"127.0.0.1:PORT", an address of this machine alone');
    }
    // Whatever else that name may stand for.
    const address = host === "localhost" ? "127.0.0.1" : host.replace(/^\[|\]$/g, "");
    return { host: address, port: Number(port) };
  });
  return [...new Map(parsed.map((one) => [formatAddress(one), one])).values()];
}

function toPeer(peer: string | ManualPeer): ManualPeer {
  return typeof peer === "string" ? parsePeer(peer) : { ...peer };
}

function check(options: ResolvedOptions): void {
  const { name, nodeId, open, routingStrategy, agents, assistantModel } = options;
  if (!isModelName(assistantModel)) {
    refuse("assistantModel", assistantModel, "the name of a model");
  }
  if (name !== undefined && (name === "" || safeName(name) !== name)) {
    refuse("name", name, "1 to 128 characters without control characters");
  }
  if (!isLabel(nodeId)) {
    refuse(
      "nodeId",
      nodeId,
      '1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit',
    );
  }
  if (options.listenPort !== undefined) checkRange("listenPort", options.listenPort, 0, 65_535);
  checkRange("broadcastPort", options.broadcastPort, 1, 65_535);
  checkRange("healthCheckIntervalMs", options.healthCheckIntervalMs, 50, 60_000);
  checkRange("slots", options.slots, 1, 4_096);
  if (options.checkpointIntervalMs !== 0) {
    checkRange("checkpointIntervalMs", options.checkpointIntervalMs, 60_000, WEEK_MS, "0 or ");
  }
  checkRange("keptCheckpoints", options.keptCheckpoints, 1, 1_000);
  if (!Object.values(RoutingStrategy).includes(routingStrategy)) {
    refuse("routingStrategy", routingStrategy, Object.values(RoutingStrategy).join(" or "));
  }
  const wrong = options.labels.find((label) => !isLabel(label));
  if (wrong !== undefined || options.labels.length > MAX_LABELS) {
    refuse(
      "labels",
      wrong ?? options.labels.length,
      `${MAX_LABELS} at most of 1 to 63 letters, digits, ".", "_" or "-" each`,
    );
  }
  checkAgentNames("Cannot create network", agents);
  if (options.openAcceptTasks && open === false && options.tls?.verifyPeers !== false) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot create network: openAcceptTasks is for an open network, where nobody shows who it " +
        "is; members may run agents anyway. Leave it out, or open the network.",
    );
  }
  if (open !== false && options.tls !== undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot create network: it is to be open, and to have certificates. Leave one out.",
    );
  }
}

/** Whether an interface is called like the loopback: `lo`, `lo0`, `Loopback Pseudo-Interface 1`. */
function isLoopbackName(name: string): boolean {
  return /^lo\d*$/i.test(name) || /loopback/i.test(name);
}

/** Whether a node with these options talks to other machines at all. */
export function leavesMachine(
  { networkInterfaces }: Pick<ResolvedOptions, "networkInterfaces">,
): boolean {
  return networkInterfaces.length === 0 || !networkInterfaces.every(isLoopbackName);
}

function checkRange(
  option: string,
  value: number,
  least: number,
  most: number,
  or = "",
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  refuse(option, value, `${or}a whole number from ${least} to ${most}`);
}

function refuse(option: string, value: unknown, expected: string): never {
  // JSON has no NaN.
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot create network: ${option} is ${shown}, expected ${expected}.`,
  );
}
