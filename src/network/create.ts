/** The only place where a node is put together. */

import { describeAgent } from "../agents/agent.ts";
import { createAssistantAgent } from "../agents/builtin/assistant.ts";
import { createCalculatorAgent } from "../agents/builtin/calculator.ts";
import { createMonitorAgent, type DeviceActivity } from "../agents/builtin/monitor.ts";
import { McpServers } from "../agents/mcp/servers.ts";
import { createDeviceInfoTool } from "../agents/tools/device_info.ts";
import { nodeTools } from "../agents/tools/node_tools.ts";
import { createSharedStateTool } from "../agents/tools/shared_state.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { ulidMaker } from "../base/ulid.ts";
import { UNKNOWN_DEVICE } from "../device/capabilities.ts";
import { AT_EASE } from "../device/condition.ts";
import { EngineWatch } from "../engines/engine_watch.ts";
import { enginePlaces } from "../engines/place.ts";
import { formatAddress } from "../link/frame_stream.ts";
import { joiningPort } from "../link/joining.ts";
import type { JoiningPort } from "../link/tls_gate.ts";
import { LinkPool } from "../link/link_pool.ts";
import type { PeerLink } from "../link/peer_link.ts";
import { Membership } from "../membership/membership.ts";
import {
  type NodeDescription,
  parseNodeDescription,
  PROTOCOL_VERSION,
} from "../membership/node_description.ts";
import { RUMOUR_TOPIC } from "../membership/rumour.ts";
import { Router } from "../routing/router.ts";
import { Circuits } from "../tasks/circuits.ts";
import { Dispatcher } from "../tasks/dispatcher.ts";
import { Executor } from "../tasks/executor.ts";
import type { Tracer } from "../tasks/tracing.ts";
import { needInterfaces } from "../transport/system_interfaces.ts";
import type { Credentials } from "../security/identity.ts";
import { Invites } from "../security/invites.ts";
import { KeyedTrust } from "../security/keyed_trust.ts";
import type { NetworkKey } from "../security/network_key.ts";
import type { PeerCredential, Trust } from "../security/trust.ts";
import { AgentPrograms } from "./agent_programs.ts";
import { answerQuestion } from "./answer_question.ts";
import { agentFinder, modelCatalog } from "./catalog.ts";
import { createEngineAgent } from "./models/engine_agent.ts";
import { modelAsked } from "./models/engine_call.ts";
import { ModelCalls } from "./models/model_calls.ts";
import { offeredModels } from "./offered_models.ts";
import { candidateList } from "./candidates.ts";
import { makeDiscoveries } from "./discoveries.ts";
import { DistributedNetwork } from "./distributed_network.ts";
import { Evicted } from "./evicted.ts";
import { makeNeighbours } from "./neighbours.ts";
import { OwnAgents } from "./own_agents.ts";
import { serveCall, takeDescription, takeRumour } from "./incoming.ts";
import { KeyExchange, KEYRING_TOPIC } from "./key_exchange.ts";
import { NameConflicts } from "./name_conflicts.ts";
import {
  DEFAULT_NETWORK_NAME,
  leavesMachine,
  type NetworkOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./options.ts";
import { type Platform, systemPlatform } from "./platform.ts";
import { programServices } from "./program_services.ts";
import { reachOf } from "./reach.ts";
import { Refusers } from "./refusers.ts";
import { sendToModel } from "./send_to_model.ts";
import { StateHost } from "./state_host.ts";
import { InsideJournal } from "./threads/inside_journal.ts";
import { THREADS_PREFIX } from "./threads/thread_keys.ts";
import { ThreadRuns } from "./threads/thread_runs.ts";
import { makeTrust, ownDirectory, trustMode, verifiesPeers } from "./trusts.ts";
import { VERSION } from "./version.ts";

/** The same array each time, so that it is seen that nothing has changed. */
const NO_CREDENTIALS: readonly Credentials[] = [];
const NO_KEYS: readonly NetworkKey[] = [];
/** The topic under which a node tells its peers what has changed about it. */
const DESCRIPTION_TOPIC = "description";
/**
 * Makes one node of a network; nothing happens before its `start()`.
 *
 * @example
 * ```ts
 * import { createDistributedNetwork } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * await using network = createDistributedNetwork({
 *   name: "example",
 *   networkInterfaces: ["lo"],
 *   listenPort: 0,
 *   broadcastPort: 45_679,
 * });
 * await network.start();
 * const { output } = await network.run("2^10", { initialAgent: "calculator" });
 * assertEquals(output, "1024");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the option, what it was and what it may be.
 */
export function createDistributedNetwork(options: NetworkOptions = {}): DistributedNetwork {
  const network = assembleNetwork(options, systemPlatform(options));
  const named = options.networkInterfaces?.find((name) => name !== "lo");
  if (named !== undefined) needInterfaces(`Cannot use the interface "${named}"`);
  return network;
}

/** Puts a node together on a given platform; see {@linkcode createDistributedNetwork}. */
export function assembleNetwork(options: NetworkOptions, platform: Platform): DistributedNetwork {
  const { clock, random, hostName, cores, dataDirectory } = platform;
  const resolved = resolveOptions(options, { name: hostName, cores, random, dataDirectory });
  const { nodeId, logger, open, tls } = resolved;
  const allows = reachOf(resolved);
  const isSecure = trustMode(resolved) !== "open";
  let trust: Trust | undefined;
  let invites: Invites | undefined;
  let joining: JoiningPort | undefined;
  const believed = (): Trust => {
    if (trust !== undefined) return trust;
    throw new NetworkError("INTERNAL", "Nobody can be trusted before the start.");
  };
  const newId = ulidMaker(clock, random);
  const conflicts = new NameConflicts({
    clock,
    logger,
    nodeId,
    bootId: () => description.bootId,
  });
  const refusers = new Refusers({
    clock,
    logger,
    nodeAt: (address) =>
      membership.peers().find(({ addresses }) =>
        addresses.some((one) => formatAddress(one) === address)
      )?.nodeId,
  });
  const evicted = new Evicted();
  /** Whether who connects, or is dialled, is of the network; its label may be another one's. */
  const admits = (peer: PeerCredential) => {
    if (believed().admits(peer)) return true;
    // A program is told so by its call, and is no node that would be missed.
    if (peer.isClient) return false;
    const known = believed().known?.identityOf(peer.names[0]);
    if (known === undefined || known === peer.identity) evicted.note(peer);
    return false;
  };

  const calculator = createCalculatorAgent({ clock });
  const readActivity = async () => ({
    ...await platform.readDevice(),
    tasksRunning: executor.running,
    tasksQueued: executor.queued,
  });
  const monitor = createMonitorAgent(readActivity);
  const mcpServers = new McpServers({ clock, logger });
  const assistant = createAssistantAgent(resolved.assistantModel);
  const builtin = [monitor, calculator.agent, assistant];
  const own = new OwnAgents({
    builtin,
    agents: resolved.agents,
    loops: resolved.agentLoops,
    offer: (agents, action) => {
      checkOffer({ ...description, agents, models: [] }, action);
      describe({ agents });
    },
    changed: (agents) => mcpServers.keep([...agents].map((agent) => agent.mcpServers)),
  });
  let tracer: Tracer | undefined;
  const builtinAgents = new Set(builtin.map(({ name }) => name));
  const tools = nodeTools({
    nodeId,
    allowed: resolved.tools,
    always: [
      calculator.tool,
      createDeviceInfoTool(async () =>
        describedDevice(description, await readActivity().catch(() => null))
      ),
      createSharedStateTool({ state: () => state.state, hidden: [THREADS_PREFIX] }),
    ],
    mcpServers,
  });
  const executor: Executor = new Executor({
    nodeId,
    clock,
    agents: own.all,
    engineAgent: createEngineAgent({
      engines: { find: (model) => engines.find(model) },
      clock,
      newId,
    }),
    modelOf: modelAsked,
    slots: resolved.slots,
    journalOf: (thread) => ({ network, prompt: asked, state: own }) =>
      new InsideJournal({ shared: () => state.state, thread, network, asked, state: own }),
    ask: (question) => answerQuestion(question, { findAgent, dispatcher }),
    tools,
    sendToModel: (question) => sendToModel(question, modelCalls),
    tracer: () => tracer,
  });

  let description: NodeDescription = Object.freeze({
    protocol: PROTOCOL_VERSION,
    // What the key says takes its place.
    network: resolved.name ?? DEFAULT_NETWORK_NAME,
    nodeId,
    bootId: newId(),
    version: VERSION,
    listenPort: resolved.listenPort || 1,
    // What is found takes its place.
    capabilities: UNKNOWN_DEVICE,
    agents: [...own.all.values()].map(describeAgent),
    models: [],
    labels: resolved.labels,
    condition: AT_EASE,
  });
  checkOffer(description, "Cannot create network");
  const self = () => description;
  // What is not accepted is not offered.
  const acceptsTasks = verifiesPeers(resolved) || resolved.openAcceptTasks;
  const offered = () => acceptsTasks ? description : { ...description, agents: [], models: [] };

  const neighbours = open === false || !resolved.existingPeers ? undefined : makeNeighbours({
    clock,
    random,
    logger,
    self,
    allows,
    membership: () => membership,
  });

  const programs = programServices({
    clock,
    options: resolved,
    allows,
    admits: (peer) => believed().admits(peer),
    // Where an authority vouches for labels nobody has another's.
    isImpostor: (peer) => {
      const by = believed();
      return by.expects !== undefined && by.expects(peer) === undefined;
    },
    network: () => network,
  });

  const state = new StateHost({
    nodeId,
    clock,
    random,
    logger,
    pool: () => pool,
    shares: acceptsTasks,
    directory: ownDirectory(resolved),
    networks: () => believed().credentials().map(({ tag }) => tag),
    networkName: () => description.network,
    checkpointIntervalMs: resolved.checkpointIntervalMs,
    keptCheckpoints: resolved.keptCheckpoints,
  });
  const pool: LinkPool = new LinkPool({
    transport: platform.links({
      services: neighbours === undefined
        ? programs.services
        : [neighbours.service, ...programs.services],
      security: isSecure
        ? {
          credentials: () => believed().credentials(),
          verifiesPeers: verifiesPeers(resolved),
          isOwnTls: tls !== undefined,
          admits,
          joining: {
            credentials: () => joining?.credentials() ?? NO_CREDENTIALS,
            serve: (socket, peer) => joining?.serve(socket, peer),
          },
        }
        : undefined,
    }),
    clock,
    self: offered,
    load: () => executor,
    allows,
    vouch: (id, credential, host) => exchange!.vouch(id, credential, host),
    expects: (credential) => believed().expects?.(credential),
    suspectAfterMs: 3 * resolved.healthCheckIntervalMs,
    handler: {
      onLinked: (link) => {
        conflicts.settled(link.peer.nodeId, link.remoteHost);
        evicted.forget(link.peer.nodeId);
        refusers.forget(link.peer.nodeId);
        membership.linked(link.peer, addressOf(link));
        circuits.answered(link.peer.nodeId);
        exchange?.linked(link);
        state.linked(link.peer.nodeId);
      },
      onOutdated: (link) => link.notify(DESCRIPTION_TOPIC, JSON.stringify(offered())),
      onRelinked: (id) => membership.relinked(id),
      onUnlinked: (id, end) => {
        const reason = "error" in end ? end.error.message : "its link was closed";
        membership.unlinked(id, { goodbye: end.type === "goodbye", reason });
      },
      onCall: (call, { peer }) => {
        if (!state.serve(call)) serveCall(call, executor, acceptsTasks, peer.nodeId);
      },
      onNotice: (topic, body, link) => {
        const { peer } = link;
        if (topic === KEYRING_TOPIC) void exchange?.took(body, link);
        if (topic === DESCRIPTION_TOPIC) takeDescription(body, peer, membership);
        if (topic === RUMOUR_TOPIC) takeRumour(body, peer, membership);
        state.heard(peer.nodeId, topic, body);
      },
      onConflict: (id, host, bootId) => {
        evicted.forget(id);
        conflicts.refused(id, host, bootId);
      },
      onRefused: (by, error) => {
        refusers.note(by, error);
        if (by.peer === undefined) return;
        membership.refused(by.peer, { ...by.address, via: "link" }, error.message);
      },
    },
  });

  const membership: Membership = new Membership({
    nodeId,
    bootId: description.bootId,
    clock,
    random,
    logger,
    ...timesOf(resolved),
    ports: {
      connect: async (addresses, signal) => (await pool.dial(addresses, signal)).peer,
      disconnect: (id) => pool.drop(id),
      link: (id) => pool.get(id),
      probe: (id) => pool.get(id)?.ping() ?? new Promise(() => {}),
      measure: (address) => pool.measure(address),
      tell: (id, rumour) => pool.get(id)?.notify(RUMOUR_TOPIC, JSON.stringify(rumour)),
      tellAll: (rumour) => pool.notifyAll(RUMOUR_TOPIC, JSON.stringify(rumour)),
      conflict: (host, bootId) => {
        evicted.forget(nodeId);
        conflicts.claimed(host, bootId);
      },
      shunned: (id, reason) => {
        if (evicted.has(id)) return;
        logger.warn('No link to "{nodeId}", which is there: {reason}', { nodeId: id, reason });
      },
    },
  });

  const link = (id: string) => pool.get(id);
  const circuits = new Circuits(clock);
  const isDoubtful = (id: string) => circuits.isDoubtful(id);
  const candidates = candidateList({ membership, link, self, load: () => executor, isDoubtful });
  const router = new Router({
    strategy: resolved.routingStrategy,
    customRouter: resolved.customRouter,
    clock,
    random,
    logger,
    agents: () => network.agents().map(({ agent }) => agent.name),
  });
  const findAgent = agentFinder({ self, membership, builtinAgents });
  const dispatcher: Dispatcher = new Dispatcher({
    clock,
    logger,
    random,
    newTaskId: newId,
    router,
    circuits,
    executor,
    candidates,
    heartbeatMs: resolved.healthCheckIntervalMs,
    link,
    tracer: () => tracer,
  });
  const networkModels = modelCatalog({ self, membership });
  const modelCalls = new ModelCalls({
    clock,
    dispatcher,
    candidates,
    models: networkModels,
    aliases: resolved.modelAliases,
  });
  const threadRuns = new ThreadRuns({
    shared: () => state.state,
    self: () => ({ nodeId, bootId: description.bootId }),
    isThere: ({ nodeId, bootId }) => membership.get(nodeId)?.bootId === bootId,
    isIdempotent: (agent) => findAgent(agent).idempotent,
    newId,
  });
  let exchange: KeyExchange | undefined;
  const discoveries = makeDiscoveries(resolved, {
    clock,
    datagrams: platform.datagrams,
    self,
    allows,
    keys: trustMode(resolved) === "keyed" ? () => trust?.keys() ?? NO_KEYS : undefined,
    lan: leavesMachine(resolved),
    misses: () => membership.misses,
    foreign: neighbours?.peers,
  });

  const agentPrograms = new AgentPrograms({
    addresses: resolved.agentPrograms,
    clock,
    logger,
    agents: own.all,
    offer: () => own.offer("Cannot offer agents of programs"),
    connect: async (address) => {
      const { AgentProgram } = await import("../link/agent_program.ts");
      return new AgentProgram(address);
    },
  });

  const { http, environment, usualPorts, knownPorts } = platform.engines;
  const { findEngines } = resolved;
  const engines = new EngineWatch({
    places: enginePlaces(
      resolved.engines,
      findEngines === undefined ? usualPorts : findEngines ? knownPorts : [],
    ),
    http,
    clock,
    logger,
    environment,
    changed: () => describe({}),
  });

  const describe = (change: Partial<NodeDescription>) => {
    const rest = { ...description, ...change };
    // What is said of agents and all else takes the room that it needs; models get what is left.
    description = Object.freeze({ ...rest, models: offeredModels(engines.models(), rest) });
    pool.notifyAll(DESCRIPTION_TOPIC, JSON.stringify(offered()));
  };
  const network: DistributedNetwork = new DistributedNetwork({
    options: resolved,
    clock,
    random,
    self,
    describe,
    trust: () => trust,
    invites: () => invites,
    openTrust: async () => {
      const opened = await makeTrust(resolved, clock);
      trust = opened;
      const made = exchange = new KeyExchange({ trust: opened, pool, clock, logger });
      if (opened instanceof KeyedTrust) {
        invites = new Invites(clock, opened.nodeIdentity, nodeId);
        joining = joiningPort({ invites, handout: () => opened.handout(), clock, logger });
      }
      const settle = () => {
        if (!(opened instanceof KeyedTrust) || resolved.name !== undefined) return;
        description = Object.freeze({ ...description, network: opened.ring.networkName });
      };
      settle();
      opened.start(() => {
        settle();
        made.changed();
        state.renamed();
        programs.reconsider();
        membership.reconsider();
      });
    },
    detect: () => platform.detect(resolved.deviceCapabilities),
    readCondition: platform.readCondition,
    openTracer: async () => {
      tracer = await platform.openTracer();
    },
    listenHost: leavesMachine(resolved) ? platform.listenHosts.lan : platform.listenHosts.loopback,
    pool,
    membership,
    discoveries,
    interfaces: () => platform.datagrams.interfaces(),
    executor,
    dispatcher,
    state,
    threadRuns,
    newId,
    ownAgents: own,
    agentPrograms,
    mcpServers,
    engines,
    modelCalls,
    offeredModels: networkModels,
    findAgent,
    candidates,
    conflicts: () => conflicts.current(),
    refusedBy: () => refusers.current(),
    evicted,
    builtinAgents,
    foreign: () => neighbours?.peers.list() ?? [],
    dispose: () => {
      calculator.dispose();
      neighbours?.peers.stop();
    },
  });
  return network;
}

/** What an agent is told of the device that it runs on; what that does now is not always known. */
function describedDevice(
  { nodeId, capabilities, labels }: NodeDescription,
  now: DeviceActivity | null,
): JsonValue {
  return JSON.parse(JSON.stringify({ nodeId, labels, ...capabilities, now }));
}

/** What peers would refuse is refused here, where its owner sees it. */
function checkOffer(description: NodeDescription, action: string): void {
  try {
    parseNodeDescription(new TextEncoder().encode(JSON.stringify(description)));
  } catch (cause) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: no peer would take what it says of itself. ${describeError(cause)}`,
      { cause },
    );
  }
}

/** The times of the table of peers, all from one: the interval of the pings. */
function timesOf({ healthCheckIntervalMs: beatMs }: ResolvedOptions) {
  return {
    heartbeatMs: beatMs,
    // A beat for the answer, half a one for that of the others who are asked then.
    suspectAfterMs: 1.5 * beatMs,
    // With the beat before the first ping that is not answered: dead within ten seconds.
    deadAfterMs: Math.max(8_000, 8 * beatMs),
    vouchedForMs: 3 * beatMs,
    // Four beacons and some.
    forgetAfterMs: 12_000,
    politeDialMs: 200,
  };
}

function addressOf(link: PeerLink) {
  return { host: link.remoteHost, port: link.peer.listenPort, via: "link" };
}
