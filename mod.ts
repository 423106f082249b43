/**
 * One network out of all the devices a person owns: they find each other, know what each can do,
 * and any of them runs an agent on the device that suits it best.
 *
 * @example An agent that any device of the network can be asked to run
 * ```ts
 * import { createAgent, createDistributedNetwork } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const greeter = createAgent({
 *   name: "greeter",
 *   description: "Greets whoever is named",
 *   run: async function* ({ prompt }) {
 *     yield "Hello, ";
 *     yield prompt;
 *   },
 * });
 *
 * await using network = createDistributedNetwork({
 *   agents: [greeter],
 *   name: "example",
 *   networkInterfaces: ["lo"],
 *   listenPort: 0,
 *   broadcastPort: 45_680,
 * });
 * await network.start();
 * const { output } = await network.run("world", { initialAgent: greeter });
 * assertEquals(output, "Hello, world");
 * ```
 *
 * @module
 */

export {
  type Agent,
  type AgentAnswer,
  type AgentContext,
  type AgentDescription,
  type AgentOptions,
  type AgentRun,
  type CallAgentOptions,
  type CallToolOptions,
  type CommonAgentOptions,
  createAgent,
  type FunctionAgentOptions,
  type ModelAgentOptions,
} from "./src/agents/agent.ts";
export type { NodeToolName } from "./src/agents/agent_tools.ts";
export {
  createHttpRequestTool,
  type HttpRequestToolOptions,
} from "./src/agents/tools/http_request.ts";
export { createWebSearchTool, type WebSearchToolOptions } from "./src/agents/tools/web_search.ts";
export type { NodeToolOptions } from "./src/agents/tools/node_tools.ts";
export type { ModelRunOptions } from "./src/agents/models/model_agent.ts";
export type {
  AgentUsage,
  Model,
  ModelAnswer,
  ModelMessage,
  ModelRequest,
  ModelResponseFormat,
  ModelTool,
  ModelToolCall,
  ModelUsage,
} from "./src/agents/models/model.ts";
export { createOpenAiModel, type OpenAiModelOptions } from "./src/agents/models/openai_model.ts";
export {
  type AgentElsewhere,
  AgentNetwork,
  type AgentNetworkOptions,
  type AgentNetworkRunOptions,
  createNetwork,
} from "./src/agents/networks/agent_network.ts";
export {
  type AgentChoice,
  type AgentRouter,
  type AgentRouterOptions,
  createRouter,
  type NextAgent,
  type RouterContext,
  type RouterFunction,
} from "./src/agents/networks/agent_router.ts";
export type { AgentLoop } from "./src/agents/networks/agent_loop.ts";
export type { HookContext, NetworkHooks } from "./src/agents/networks/network_hooks.ts";
export {
  conditionalRouter,
  type RoutingRule,
  sequentialRouter,
  stateRouter,
} from "./src/agents/networks/routers.ts";
export {
  createRoutingAgent,
  type RoutingAgentOptions,
} from "./src/agents/networks/routing_agent.ts";
export type { Requirements, Workload } from "./src/agents/requirements.ts";
export type {
  AgentEvent,
  Consideration,
  NetworkRunResult,
  RunEvent,
  RunResult,
  StepEvent,
  StoppedBy,
} from "./src/agents/run_event.ts";
export type {
  InvalidValue,
  SharedState,
  StateChange,
  StateTransaction,
  TypedChange,
  TypedState,
  TypedTransaction,
  WatchOptions,
} from "./src/state/shared_state.ts";
export type { Checkpoint, Restored } from "./src/state/checkpoints.ts";
export type { Imported, ImportOptions } from "./src/state/state_import.ts";
export type { AgentResult, RunData, RunMessage, RunState } from "./src/agents/run_state.ts";
export {
  createTool,
  type JsonSchema,
  type Tool,
  type ToolContext,
  type ToolOptions,
} from "./src/agents/tool.ts";
export type {
  McpAddress,
  McpCommand,
  McpServerOptions,
  McpTimes,
} from "./src/agents/mcp/server_options.ts";
export type { JsonValue } from "./src/base/bounded_json.ts";
export type { StandardIssue, StandardResult, StandardSchema } from "./src/base/standard_schema.ts";
export type { CancelTimer, Clock } from "./src/base/clock.ts";
export { type ErrorCode, NetworkError, type NetworkErrorOptions } from "./src/base/errors.ts";
export type { Logger } from "./src/base/log.ts";
export type {
  CapabilityOverrides,
  DeviceCapabilities,
  DeviceFlops,
  Gpu,
  GpuOverride,
  GpuVendor,
} from "./src/device/capabilities.ts";
export type { DeviceCondition } from "./src/device/condition.ts";
export type { CommandOptions, CommandResult, CommandRunner } from "./src/device/command.ts";
export {
  detectDevice,
  detectDeviceCapabilities,
  type DetectOptions,
  type DeviceReport,
} from "./src/device/detect.ts";
export type { EngineStatus } from "./src/engines/engine_watch.ts";
export type { EngineKind, ModelCapability, ModelDescription } from "./src/engines/model.ts";
export type { EngineOptions } from "./src/engines/place.ts";
export type { ManualPeer } from "./src/discovery/manual_peer.ts";
export type { PeerEventType, PeerState } from "./src/membership/peer.ts";
export type { ModelAlias } from "./src/network/models/model_names.ts";
export type { ModelOnDevice, NetworkModel } from "./src/network/catalog.ts";
export type { RawModelAnswer, RawModelCall } from "./src/network/models/model_calls.ts";
export type { EngineHead } from "./src/network/models/engine_call.ts";
export type { DialectName } from "./src/dialects/dialect.ts";
export { createDistributedNetwork } from "./src/network/create.ts";
export { DistributedNetwork } from "./src/network/distributed_network.ts";
export type { StartOptions, StopOptions } from "./src/network/life_cycle.ts";
export type {
  MapOptions,
  NodeOutcome,
  RoutedRunOptions,
  RunAllOptions,
  RunOptions,
} from "./src/network/run_options.ts";
export type { JoinQrOptions } from "./src/network/join_codes.ts";
export { type JoinFromQrOptions, joinNetworkFromQr } from "./src/network/join_from_qr.ts";
export type { JoinQr, JoinQrFields } from "./src/network/join_qr.ts";
export { printQr, type PrintQrOptions } from "./src/network/print_qr.ts";
export type { KeyList, KeyStatus, MemberStatus, NetworkKeys } from "./src/network/network_keys.ts";
export type { DiscoveryMode, NetworkOptions, TailscaleOptions } from "./src/network/options.ts";
export type { Finding, Severity } from "./src/network/diagnosis_facts.ts";
export type {
  Thread,
  ThreadData,
  ThreadSummary,
  UnfinishedRun,
} from "./src/network/threads/thread.ts";
export type {
  AddressStatus,
  EndedTask,
  FailingStatus,
  NameConflict,
  NetworkEvent,
  NetworkState,
  NetworkStatus,
  PeerHealth,
  PeerStatus,
  RefusedBy,
  SecurityStatus,
  SharedStateStatus,
  StatusOptions,
  TaskStatus,
  UnreachedStatus,
} from "./src/network/status.ts";
export type { Candidate, CandidateModel } from "./src/routing/candidate.ts";
export {
  type CustomRouter,
  type RouterChoice,
  type RouterState,
  RoutingStrategy,
} from "./src/routing/strategy.ts";
export type { ClientCertificate } from "./src/security/client_certificate.ts";
export type { Eviction } from "./src/security/eviction.ts";
export type { KnownNode } from "./src/security/known_nodes.ts";
export { scanQr } from "./src/security/scan.ts";
export type { RunningTask } from "./src/tasks/held_attempt.ts";
export type { MapItem, MapOrder, MapProgress, Prompts } from "./src/tasks/map_prompts.ts";
export type { TaskOutcome } from "./src/tasks/history.ts";
export type { Priority } from "./src/tasks/waiting_line.ts";
