/** `up`: runs a node in the foreground until it is told to stop. */

import { every, systemClock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { isGranted, needGranted } from "../../base/permissions.ts";
import { systemRandom } from "../../base/random.ts";
import { safeName } from "../../base/safe_text.ts";
import { Gateway } from "../../gateway/gateway.ts";
import { createDistributedNetwork } from "../../network/create.ts";
import { type ClaimedNode, claimNode, dataDirectory } from "../../network/data_directory.ts";
import type { DistributedNetwork } from "../../network/distributed_network.ts";
import { defaultNodeId, systemHostName } from "../../network/node_label.ts";
import {
  DISCOVERY_MODES,
  type DiscoveryMode,
  type TailscaleOptions,
} from "../../network/options.ts";
import type { NetworkEvent } from "../../network/status.ts";
import { AgentFiles } from "../agent_files.ts";
import { readCapabilities } from "../capabilities_file.ts";
import { type Command, type Invocation, type OptionValues, UsageError } from "../command.ts";
import { LiveRegion } from "../live_region.ts";
import { LOG_LEVELS, type LogLevel, openLog } from "../log.ts";
import { giveBackStartMemory } from "../memory.ts";
import { environment } from "../option_values.ts";
import { statusReport } from "../show.ts";
import type { Terminal } from "../terminal.ts";
import { WatchedAgents } from "../watched_agents.ts";
import { allowedTools, openTo, UP_OPTIONS } from "./up_options.ts";

/** By then a node that finds peers has found them. */
const SETTLED_MS = 2_000;
/** How often the table of a terminal is drawn anew. */
const REDRAW_MS = 1_000;

export const command: Command = {
  positionals: "",
  summary: "Run a node in the foreground",
  options: UP_OPTIONS,
  example: "hanzo-network up",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const region = new LiveRegion(terminal);
    const logger = await openLog(logLevel(options), terminal.json, (line) => {
      // The log goes to stderr, but not across the table that is being redrawn.
      if (terminal.isInteractive) region.print(line);
      else terminal.error(line);
    });
    surviveStrayErrors(logger);
    const open = openTo(options);
    const directory = dataDirectory(options.text("data-dir"), environment);
    const claimed = await claimNode(
      directory,
      options.text("node-id"),
      defaultNodeId(systemHostName(), systemRandom),
    ).catch(asUsage);
    let network: DistributedNetwork | undefined;
    let gateway: Gateway | undefined;
    const files = new AgentFiles(options.list("agents"));
    let watched: WatchedAgents | undefined;
    try {
      network = createDistributedNetwork({
        agents: await files.load(),
        agentUrls: options.list("agent-url"),
        engines: options.list("engine"),
        modelAliases: modelAliases(options.list("model-alias")),
        findEngines: !options.flag("no-engines"),
        tools: allowedTools(options),
        assistantModel: options.text("assistant-model"),
        name: options.text("name"),
        nodeId: claimed.nodeId,
        listenPort: options.integer("listen-port", 0, 65_535),
        broadcastPort: options.integer("broadcast-port", 1, 65_535),
        discoveryMode: discoveryModes(options),
        configPath: options.text("config"),
        peers: options.list("peer"),
        tailscale: await tailscale(options),
        dataDirectory: directory,
        networkInterfaces: options.list("network-interface"),
        tlsCert: options.text("tls-cert"),
        tlsKey: options.text("tls-key"),
        tlsCa: options.text("tls-ca"),
        verifyPeers: options.text("verify-peers") === undefined
          ? undefined
          : options.flag("verify-peers"),
        open,
        openAcceptTasks: options.flag("open-accept-tasks"),
        existingPeers: !options.flag("ignore-existing-peers"),
        deviceCapabilities: await readCapabilities(options.text("capabilities")),
        labels: options.list("label"),
        slots: options.integer("slots", 1, 4_096),
        checkpointIntervalMs: checkpointInterval(options),
        keptCheckpoints: options.integer("keep-checkpoints", 1, 1_000),
        logger,
      });
      watched = watchAgents(files, network, logger);
      // Only now is the range known to be one that a node may be open to.
      if (open !== false) warnOfOpen(open, options.flag("open-accept-tasks"), terminal);
      else if (!network.getNetworkStatus().security.verifiesPeers) {
        warnOfAnybody(options.flag("open-accept-tasks"), terminal);
      }
      const apiPort = options.integer("api-port", 0, 65_535);
      needApi(apiPort);
      const events = network.events();
      await network.start();
      const token = newToken();
      gateway = await Gateway.start({ network, port: apiPort, token, logger });
      await publish(claimed, network, gateway, token);
      announce(network, gateway, terminal);
      const show = () => region.show(liveTable(network!, terminal));
      tell(events, terminal, region, show).catch((thrown) => {
        // Whoever read our output has had enough; the node goes on without telling.
        if (!(thrown instanceof Deno.errors.BrokenPipe)) throw thrown;
      });
      show();
      const timers = [
        systemClock.after(SETTLED_MS, () => void giveBackStartMemory()),
        every(systemClock, REDRAW_MS, show),
      ];
      const told = options.flag("until-stdin-ends")
        ? AbortSignal.any([signal, stdinEnd()])
        : signal;
      // Told to drain over its API it ends by itself.
      await Promise.race([aborted(told), ended(network, told)]);
      for (const cancel of timers) cancel();
      region.end();
      if (!terminal.json && told.aborted) {
        terminal.line("Stopping: finishing what runs here … Once more ends it at once.");
      }
      // Nobody is left to say so where it was started by a program that is gone.
      if (signal.aborted) await network.drain();
      return 0;
    } catch (thrown) {
      if (network === undefined) asUsage(thrown);
      throw thrown;
    } finally {
      await watched?.stop();
      files.close();
      await network?.stop();
      await gateway?.stop();
      await claimed.release();
    }
  },
};

/** What no node can be made of was wrong on the command line. */
function asUsage(thrown: unknown): never {
  if (!(thrown instanceof NetworkError) || thrown.code !== "INVALID_ARGUMENT") throw thrown;
  throw new UsageError(thrown.message);
}

/**
 * An agent's promise that nobody awaits must not end the node, nor, by way of the fallback, one
 * node after the other.
 */
function surviveStrayErrors(logger: Logger): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.error("A promise failed and nobody awaited it: {reason}", {
      reason: describeError(event.reason),
    });
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    logger.error("An error was thrown where nobody could catch it: {reason}", {
      reason: describeError(event.error),
    });
  });
}

/** Listening would ask for it, and the node stand still meanwhile. */
function needApi(port: number | undefined): void {
  const host = "127.0.0.1";
  // Without a port it may be any that is free.
  if (port !== undefined && isGranted({ name: "net", host: `${host}:${port}` })) return;
  needGranted(`Cannot serve the API on ${host}`, { name: "net", host });
}

/** Agents whose files change are read again while the node runs. */
function watchAgents(files: AgentFiles, network: DistributedNetwork, logger: Logger) {
  const watched = new WatchedAgents({
    files,
    clock: systemClock,
    logger,
    replace: (agents) => network.replaceAgents(agents),
  });
  watched.start();
  return watched;
}

async function publish(
  claimed: ClaimedNode,
  network: DistributedNetwork,
  gateway: Gateway,
  token: string,
): Promise<void> {
  const { nodeId, name, address } = network.getNetworkStatus();
  await claimed.publish({
    nodeId,
    network: name,
    api: gateway.url,
    grpc: address!,
    pid: Deno.pid,
    startedAt: Date.now(),
  }, token);
}

function announce(network: DistributedNetwork, gateway: Gateway, terminal: Terminal): void {
  const { nodeId, name, address } = network.getNetworkStatus();
  if (terminal.json) {
    terminal.value({ event: "ready", nodeId, api: gateway.url, grpc: address });
    return;
  }
  terminal.line(`${terminal.style("bold", nodeId)} is up in network ${name}.`);
  terminal.line(`Links at ${address}, API at ${gateway.url}. Stop with Ctrl-C.`);
}

async function tell(
  events: AsyncIterable<NetworkEvent>,
  terminal: Terminal,
  region: LiveRegion,
  show: () => void,
): Promise<void> {
  for await (const { type, nodeId, peer, reason } of events) {
    if (terminal.json) {
      terminal.value({ event: type, nodeId, peer, ...(reason && { reason }) });
    } else if (type !== "peer-updated") {
      const chip = peer.capabilities?.chip;
      const details = [peer.address, chip, reason].filter(Boolean).join(", ");
      region.print(safeName(`${type.replace("peer-", "")} ${nodeId} (${details})`, 500));
    }
    show();
  }
}

function liveTable(network: DistributedNetwork, terminal: Terminal): string[] {
  return ["", ...statusReport(network.getNetworkStatus(), terminal, systemClock.wallTime())];
}

/** Aborts when whoever holds the other end of stdin has closed it, or is gone. */
function stdinEnd(): AbortSignal {
  const end = new AbortController();
  void Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => end.abort());
  return end.signal;
}

/** Resolves when the network has stopped, or the signal aborts. */
async function ended(network: DistributedNetwork, signal: AbortSignal): Promise<void> {
  const events = network.events({ signal });
  while (!(await events.next()).done);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function logLevel(options: OptionValues): LogLevel {
  const level = options.text("log-level") ?? "info";
  const known = LOG_LEVELS.find((one) => one === level);
  if (known !== undefined) return known;
  throw new UsageError(`--log-level is "${level}", expected ${LOG_LEVELS.join(", ")}.`);
}

function warnOfOpen(open: boolean | string, acceptsTasks: boolean, terminal: Terminal): void {
  const who = open === true ? "every machine of this network" : `every machine of ${open}`;
  terminal.error(terminal.style(
    "red",
    [
      "WARNING: this node is OPEN. What it says and hears is not encrypted, and " + who,
      acceptsTasks
        ? "may see it and RUN ITS AGENTS."
        : "may see it. It runs no agents for them (that would be --open-accept-tasks).",
    ].join("\n"),
  ));
}

function warnOfAnybody(acceptsTasks: boolean, terminal: Terminal): void {
  terminal.error(terminal.style(
    "red",
    [
      "WARNING: this node asks NOBODY for a certificate (--verify-peers=false). Links are encrypted, " +
      "with whoever comes:",
      "every machine at a private address may see it, pretend to be a node, " +
      (acceptsTasks
        ? "and RUN ITS AGENTS."
        : "and be sent work. It runs no agents for them (that would be --open-accept-tasks)."),
    ].join("\n"),
  ));
}

function checkpointInterval(options: OptionValues): number | undefined {
  const minutes = options.integer("checkpoint-every", 0, 7 * 24 * 60);
  return minutes === undefined ? undefined : minutes * 60_000;
}

function discoveryModes(options: OptionValues): DiscoveryMode[] | undefined {
  const ways = options.list("discovery").flatMap((text) => text.split(","));
  const isMode = (way: string): way is DiscoveryMode => DISCOVERY_MODES.some((it) => it === way);
  const unknown = ways.find((way) => !isMode(way));
  if (unknown === undefined) return ways.length > 0 ? ways.filter(isMode) : undefined;
  throw new UsageError(`--discovery is "${unknown}", expected ${DISCOVERY_MODES.join(", ")}.`);
}

/** The token is read from a file, so that it is in no list of processes. */
async function tailscale(options: OptionValues): Promise<TailscaleOptions | false> {
  const path = options.text("tailscale");
  const keyFile = options.text("tailscale-api-key");
  if (path === undefined && keyFile === undefined) return false;
  if (keyFile === undefined) return { path };
  needGranted(`Cannot read ${keyFile}`, { name: "read", path: keyFile });
  try {
    const apiKey = (await Deno.readTextFile(keyFile)).trim();
    return { path, apiKey, apiUrl: options.text("tailscale-api") };
  } catch (cause) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the token of Tailscale's API from ${keyFile}: ${describeError(cause)}.`,
      { cause },
    );
  }
}

/** 256 bits, in the alphabet of URLs. */
function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** `fast=llama3.2:3b,qwen3:4b`; what is given of one name more than once is put together. */
function modelAliases(given: readonly string[]): Record<string, string[]> {
  const aliases: Record<string, string[]> = {};
  for (const text of given) {
    const [, name, models] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (name === undefined) {
      throw new UsageError(
        `--model-alias is ${JSON.stringify(text)}, expected NAME=MODEL, such as fast=llama3.2:3b.`,
      );
    }
    aliases[name] = [...(aliases[name] ?? []), ...models.split(",")];
  }
  return aliases;
}
