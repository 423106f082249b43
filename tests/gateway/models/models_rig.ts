/**
 * Two nodes in one process, a gateway at the first, engines of the test beside either; and the
 * official clients of each API, as anybody would set them up.
 *
 * @module
 */

import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Ollama } from "ollama";
import OpenAI from "openai";
import type { Agent } from "../../../src/agents/agent.ts";
import { type CancelTimer, type Clock, systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/log.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import { assembleNetwork } from "../../../src/network/create.ts";
import type { DistributedNetwork } from "../../../src/network/distributed_network.ts";
import type { NetworkOptions } from "../../../src/network/options.ts";
import { systemPlatform } from "../../../src/network/platform.ts";
import type { EngineServer } from "../../support/engines/engine_server.ts";
import type { TestPrompt, TestReply } from "../../support/engines/test_model.ts";
import { eventually } from "../../support/eventually.ts";
import { freeUdpPort } from "../../support/nodes.ts";
import { wholeFetch } from "../../support/whole_fetch.ts";

export const TOKEN = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/** What stands beside which node. */
export interface ModelsRigOptions {
  /** Beside the node with the gateway. */
  readonly here?: readonly EngineServer[];
  /** Beside the other one. */
  readonly there?: readonly EngineServer[];
  readonly agents?: Agent[];
  readonly agentsThere?: Agent[];
  readonly aliases?: NetworkOptions["modelAliases"];
  /** How many models are awaited. */
  readonly models: number;
}

/** See the top of the file. */
export class ModelsRig implements AsyncDisposable {
  readonly here: DistributedNetwork;
  readonly gateway: Gateway;
  /** Of all nodes. */
  readonly clock: RungClock;
  /** The last request of a client, as it sent it. */
  sent = "";
  /** The head of the last answer that a client got. */
  answered: Response | undefined;
  readonly #nodes: DistributedNetwork[];

  private constructor(nodes: DistributedNetwork[], gateway: Gateway, clock: RungClock) {
    this.#nodes = nodes;
    this.here = nodes[0];
    this.gateway = gateway;
    this.clock = clock;
  }

  static async start(options: ModelsRigOptions): Promise<ModelsRig> {
    const { here = [], there = [], agents = [], agentsThere = [], aliases = {}, models } = options;
    const broadcastPort = freeUdpPort();
    const clock = new RungClock();
    const node = (nodeId: string, engines: readonly EngineServer[], more: NetworkOptions = {}) => {
      const given: NetworkOptions = {
        name: "models",
        nodeId,
        networkInterfaces: ["lo"],
        listenPort: 0,
        broadcastPort,
        findEngines: false,
        engines: engines.map(({ url }) => url),
        deviceCapabilities: { chip: "test", memory: 65_536 },
        logger: silentLogger,
        ...more,
      };
      return assembleNetwork(given, { ...systemPlatform(given), clock });
    };
    const first = node("here", here, { agents, modelAliases: aliases });
    const isAlone = there.length + agentsThere.length === 0;
    const nodes = isAlone ? [first] : [first, node("there", there, { agents: agentsThere })];
    const started: DistributedNetwork[] = [];
    try {
      for (const one of nodes.toReversed()) {
        await one.start(one === first && nodes.length > 1 ? { waitForPeers: 1 } : {});
        started.push(one);
      }
      const gateway = await Gateway.start({
        network: first,
        port: 0,
        token: TOKEN,
        logger: silentLogger,
      });
      const rig = new ModelsRig(nodes, gateway, clock);
      const known = () => first.models().flatMap(({ devices }) => devices).length;
      await eventually(() => known() === models, { what: `${models} models` });
      return rig;
    } catch (thrown) {
      for (const one of started) await one.stop();
      throw thrown;
    }
  }

  get url(): string {
    return this.gateway.url;
  }

  /** The system's, watched. */
  readonly fetch: typeof fetch = async (input, init) => {
    const { body } = init ?? {};
    if (typeof body === "string") this.sent = body;
    return this.answered = await fetch(input, init);
  };

  openai(apiKey = "unused"): OpenAI {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey, maxRetries: 0, fetch: this.fetch });
  }

  anthropic(apiKey = "unused"): Anthropic {
    return new Anthropic({
      baseURL: this.url,
      apiKey,
      maxRetries: 0,
      fetch: this.fetch,
      logLevel: "off",
    });
  }

  ollama(headers: Record<string, string> = {}): Ollama {
    // It leaves a stream after its last line, and does not read what ends it.
    return new Ollama({ host: this.url, headers, fetch: wholeFetch(this.fetch) });
  }

  ai() {
    return createOpenAICompatible({
      name: "hanzo",
      baseURL: `${this.url}/v1`,
      fetch: this.fetch,
      includeUsage: true,
      supportsStructuredOutputs: true,
    });
  }

  /** Without a client. */
  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return this.fetch(`${this.url}${path}`, {
      ...init,
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.stop();
    for (const node of this.#nodes) await node.stop();
  }
}

/** The system's clock, of which the test rings what would ring much later. */
export class RungClock implements Clock {
  readonly #waiting = new Set<{ readonly delayMs: number; readonly ring: () => void }>();

  now(): number {
    return systemClock.now();
  }

  wallTime(): number {
    return systemClock.wallTime();
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    const cancel = systemClock.after(delayMs, () => one.ring());
    const one = {
      delayMs,
      ring: () => {
        cancel();
        if (this.#waiting.delete(one)) callback();
      },
    };
    this.#waiting.add(one);
    return () => {
      cancel();
      this.#waiting.delete(one);
    };
  }

  /** Rings whatever waits for so long; false where nothing does. */
  ring(delayMs: number): boolean {
    const due = [...this.#waiting].filter((one) => one.delayMs === delayMs);
    for (const { ring } of due) ring();
    return due.length > 0;
  }
}

/**
 * What a model of these tests says: the tools that it has to, JSON where that is wanted, and else
 * what it was told, so that a client sees that all of it has come.
 */
export function says({ messages, tools, format }: TestPrompt): TestReply {
  const { role, text } = messages.at(-1)!;
  const type = (format as { type?: string } | undefined)?.type;
  if (format !== undefined && type !== "text") return { text: '{"city":"Graz"}' };
  if (role === "tool") return { text: `It is ${text}` };
  if (tools.length > 0) {
    return { toolCalls: tools.map((name) => ({ name, arguments: { city: "Graz" } })) };
  }
  const system = messages.find(({ role }) => role === "system" || role === "developer");
  return {
    text: `${system?.text ?? "You said"}: ${text}`,
    ...(text.includes("think") && { thinking: "Let me see" }),
  };
}
