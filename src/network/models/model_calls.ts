/** Calls of models, wherever they are: each is a task, and goes where it is answered first. */

import type { AgentDescription } from "../../agents/agent.ts";
import type { RunEvent, RunResult } from "../../agents/run_event.ts";
import { streamRun } from "../../agents/run_stream.ts";
import { type ErrorCode, NetworkError } from "../../base/errors.ts";
import { named } from "../../base/named.ts";
import type { Clock } from "../../base/clock.ts";
import { safeLine } from "../../base/safe_text.ts";
import type { DialectName } from "../../dialects/dialect.ts";
import type { DeviceCapabilities } from "../../device/capabilities.ts";
import type { Candidate } from "../../routing/candidate.ts";
import { tflopsOf } from "../../routing/candidate.ts";
import { Circuits } from "../../tasks/circuits.ts";
import type { Dispatcher } from "../../tasks/dispatcher.ts";
import type { RunRequest } from "../../tasks/run_request.ts";
import type { Priority } from "../../tasks/waiting_line.ts";
import type { OfferedModel } from "../catalog.ts";
import { Conversations } from "./conversations.ts";
import {
  checkEngineHead,
  ENGINE_AGENT,
  type EngineHead,
  type EngineTask,
  figuresIn,
  MAX_ASKED,
  parseEngineHead,
} from "./engine_call.ts";
import { engineCandidates } from "./engine_candidates.ts";
import {
  aliasesNow,
  MAX_NAMES,
  type ModelAlias,
  type ModelAliases,
  modelsMeant,
  type NameSources,
} from "./model_names.ts";
import { type ModelSpeed, ModelTimes } from "./model_times.ts";
import { CHARACTERS_PER_TOKEN, promptTokens } from "./prompt_length.ts";

/** What a model is asked. */
export interface RawModelCall {
  /** How the body is to be read, and the answer to be written. */
  readonly dialect: DialectName;
  /** The request as its client wrote it: an object of JSON whose `model` is the one asked for. */
  readonly body: string;
  /** A name, or several with commas between them. */
  readonly model: string;
  /** Whether the answer is to come in pieces, as the body says. */
  readonly stream: boolean;
  /** What the conversation is known by, if it is one: see `conversationKeys`. */
  readonly conversation?: readonly string[];
  /** Only this node. */
  readonly nodeId?: string;
  /** How long it may take in all, in milliseconds. @default {3600000} */
  readonly timeoutMs?: number;
  /** Takes it back, which stops the engine. */
  readonly signal?: AbortSignal;
  /** Its place among those that wait. */
  readonly priority?: Priority;
  /** How many agents have asked each other until it came to this. */
  readonly hops?: number;
  /** The span that it belongs to, where traces are recorded. */
  readonly traceparent?: string;
}

/** What it answers. */
export interface RawModelAnswer extends EngineHead {
  /** The model that answers, by the name that the network knows. */
  readonly model: string;
  /** The node whose engine answers. */
  readonly nodeId: string;
  /** The task that it was: a ULID. */
  readonly taskId: string;
  /** Whole, or in pieces; leaving these stops the engine. */
  readonly body: string | AsyncGenerator<string, void, void>;
}

/** What calls are made with. */
export interface ModelCallsNeeds {
  readonly clock: Clock;
  readonly dispatcher: Pick<Dispatcher, "run">;
  readonly models: () => readonly OfferedModel[];
  readonly aliases: ModelAliases;
  readonly candidates: () => readonly Candidate[];
}

/** Engines that fall silent are given up long before: see `ENGINE_LIMITS`. */
const DEFAULT_TIMEOUT_MS = 3_600_000;
/** What one model fails with that the next one may do instead. */
const NEXT_MAY: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "NOT_FOUND",
  "RESOURCE_EXHAUSTED",
  "UNKNOWN_OUTCOME",
  "FAILED_PRECONDITION",
  "PERMISSION_DENIED",
]);
/** Below this no engine is too small. */
const SHORT_TOKENS = 2_048;
/** More models than a network has. */
const MAX_CIRCUITS = 1_024;

/** A call with what time it has left, in milliseconds. */
type BoundedCall = RawModelCall & { readonly leftMs: number };

const AGENT: AgentDescription = Object.freeze({
  name: ENGINE_AGENT,
  description: "",
  workload: "heavy",
  requirements: {},
  idempotent: true,
  tools: [],
});

/** See the top of the file. */
export class ModelCalls {
  readonly #needs: ModelCallsNeeds;
  readonly #times = new ModelTimes();
  readonly #conversations = new Conversations();
  /** By model: which devices have failed at it. */
  readonly #circuits = new Map<string, Circuits>();

  constructor(needs: ModelCallsNeeds) {
    this.#needs = needs;
  }

  /**
   * Asks a model; resolves as soon as it has said something, or refuses. Until then another device
   * that has it takes the place of one that fails, and then the next model that was named.
   *
   * @throws {NetworkError} `NOT_FOUND` when nobody has any that was asked for; what the last device
   * failed with.
   */
  async call(call: RawModelCall): Promise<RawModelAnswer> {
    const { clock } = this.#needs;
    const endsAt = clock.now() + (call.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const meant = this.#meant(call);
    let failure: unknown;
    for (const model of meant) {
      const leftMs = endsAt - clock.now();
      if (leftMs <= 0 && failure !== undefined) break;
      const bounded = { ...call, leftMs };
      try {
        return await (call.stream ? this.#inPieces(model, bounded) : this.#whole(model, bounded));
      } catch (thrown) {
        failure = thrown;
        const mayGoOn = thrown instanceof NetworkError && NEXT_MAY.has(thrown.code);
        if (!mayGoOn || call.signal?.aborted) throw forClient(outcomeOf(thrown, model, call));
      }
    }
    throw forClient(failure);
  }

  /** The models that a chat by this name would try now, the best first; empty where nobody has any. */
  meant(asked: string): readonly string[] {
    return asked.length > MAX_ASKED ? [] : modelsMeant(asked, "chat", this.#sources());
  }

  /** How fast a model was there, of what this node has asked. */
  speed(model: string, nodeId: string): ModelSpeed | undefined {
    return this.#times.speed(model, nodeId);
  }

  /** The other names that this node has for models, by name. */
  aliases(): ModelAlias[] {
    return aliasesNow(this.#sources());
  }

  #meant({ model: asked, dialect }: RawModelCall): readonly string[] {
    if (asked.length > MAX_ASKED) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot ask a model whose name has ${asked.length} characters: at most ${MAX_ASKED} are ` +
          "taken, those of several names with commas between them included.",
      );
    }
    const count = asked.split(",").length;
    if (count > MAX_NAMES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot ask one of ${count} models: at most ${MAX_NAMES} names are taken.`,
      );
    }
    const sources = this.#sources();
    const use = /embed/.test(dialect) ? "embeddings" : "chat";
    const meant = modelsMeant(asked, use, sources);
    if (meant.length > 0) return meant;
    const names = sources.models.map(({ name }) => name);
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot ask model "${safeLine(asked)}": no device of the network has it. ` +
        (names.length === 0
          ? "None has any model: start Ollama, or another engine, on one of them."
          : `There ${names.length === 1 ? "is" : "are"}: ${named(names)}.`),
    );
  }

  #sources(): NameSources {
    const { models, aliases } = this.#needs;
    return { models: models(), aliases, memoryOf: (nodeId) => this.#memoryOf(nodeId) };
  }

  #memoryOf(nodeId: string): number | undefined {
    const device = this.#needs.candidates().find((one) => one.nodeId === nodeId);
    return device && fastMemory(device.capabilities);
  }

  async #whole(model: string, call: BoundedCall): Promise<RawModelAnswer> {
    const result = await this.#needs.dispatcher.run(this.#request(model, call));
    const { status, contentType } = checkEngineHead(result.data);
    const { nodeId, taskId, output } = result;
    if (status < 400) {
      this.#begun(model, call, nodeId);
      this.#ended(model, result);
    }
    return { status, contentType, model, nodeId, taskId, body: output };
  }

  async #inPieces(model: string, call: BoundedCall): Promise<RawModelAnswer> {
    const request = this.#request(model, call);
    const events = streamRun((emit, left) => {
      const signal = request.signal === undefined ? left : AbortSignal.any([request.signal, left]);
      return this.#needs.dispatcher.run({ ...request, signal }, emit);
    });
    let nodeId = "";
    let taskId = "";
    try {
      for (;;) {
        const { done, value: event } = await events.next();
        if (done) break;
        if (event.type === "routed") ({ nodeId, taskId } = event);
        if (event.type !== "token") continue;
        const { status, contentType } = parseEngineHead(event.text);
        if (status < 400) this.#begun(model, call, nodeId);
        const body = this.#pieces(model, call, events, status < 400);
        // Who leaves one that has not begun leaves nothing else.
        await body.next();
        return { status, contentType, model, nodeId, taskId, body };
      }
    } catch (thrown) {
      await events.return();
      throw thrown;
    }
    throw new NetworkError("PROTOCOL", `Cannot ask model "${model}": its node said nothing.`);
  }

  /** First an empty one, then the pieces. */
  async *#pieces(
    model: string,
    call: RawModelCall,
    events: AsyncGenerator<RunEvent, void, void>,
    isWell: boolean,
  ): AsyncGenerator<string, void, void> {
    try {
      yield "";
      // Leaving this leaves the events, which stops the run.
      for await (const event of events) {
        if (event.type === "token") yield event.text;
        else if (event.type === "result" && isWell) this.#ended(model, event.result);
      }
    } catch (thrown) {
      const error = NetworkError.from(thrown);
      if (error.code !== "UNKNOWN_OUTCOME") throw outcomeOf(error, model, call);
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot take the answer of model "${model}": its node was lost in the middle of it. Ask again.`,
        { cause: error },
      );
    } finally {
      await events.return();
    }
  }

  /** An engine has read it, whatever becomes of its answer. */
  #begun(model: string, { conversation = [] }: RawModelCall, nodeId: string): void {
    this.#conversations.note(model, conversation, nodeId);
  }

  /** What is learnt of a call that was answered. */
  #ended(model: string, { nodeId, serviceMs, data }: RunResult): void {
    const figures = figuresIn(data);
    const device = this.#needs.candidates().find((one) => one.nodeId === nodeId);
    if (figures === undefined || device === undefined) return;
    this.#times.note(model, nodeId, figures, serviceMs, tflopsOf(device.capabilities));
  }

  #request(model: string, call: BoundedCall): RunRequest {
    const { dialect, body, model: asked, stream, conversation = [] } = call;
    const { nodeId, leftMs: timeoutMs, signal, priority, hops, traceparent } = call;
    const task: EngineTask = { dialect, model, asked, stream };
    const circuits = this.#circuitsOf(model);
    const near = this.#conversations.find(model, conversation);
    // Where a node was named, its engine says what is too long for it.
    const contextLength = nodeId === undefined ? this.#contextLength(model, body) : undefined;
    return {
      agent: AGENT,
      prompt: body,
      context: JSON.stringify(task),
      requirements: contextLength === undefined ? { model } : { model, contextLength },
      ...(near !== undefined && { near: [near] }),
      nodeId,
      timeoutMs,
      signal,
      priority,
      hops,
      traceparent,
      view: {
        model,
        candidates: (devices) => engineCandidates(devices, model, circuits),
        times: this.#times.of(model),
        circuits,
      },
    };
  }

  /**
   * How many tokens the model must take, where some devices have it with too few. Nobody can count
   * them but the model itself, so where all have too few it is for an engine to say so: what is said
   * is not to leave the owner's devices for a guess.
   */
  #contextLength(model: string, body: string): number | undefined {
    if (body.length < SHORT_TOKENS * CHARACTERS_PER_TOKEN) return undefined;
    const tokens = promptTokens(body);
    if (tokens < SHORT_TOKENS) return undefined;
    const all = this.#needs.candidates().flatMap(({ models }) => models.get(model) ?? []);
    const own = all.filter(({ lastResort }) => !lastResort);
    const takes = (own.length > 0 ? own : all).flatMap((one) => one.contextLength ?? []);
    return takes.some((most) => most >= tokens) && takes.some((most) => most < tokens)
      ? tokens
      : undefined;
  }

  #circuitsOf(model: string): Circuits {
    let circuits = this.#circuits.get(model);
    if (circuits === undefined) {
      circuits = new Circuits(this.#needs.clock);
      this.#circuits.set(model, circuits);
      if (this.#circuits.size > MAX_CIRCUITS) {
        this.#circuits.delete(this.#circuits.keys().next().value!);
      }
    }
    return circuits;
  }
}

/** What the caller is told: that its time is up, in its own words. */
function outcomeOf(
  thrown: unknown,
  model: string,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: RawModelCall,
): unknown {
  if (!(thrown instanceof NetworkError) || thrown.code !== "DEADLINE_EXCEEDED") return thrown;
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Cannot ask model "${model}": its answer was not done within ${
      Number((timeoutMs / 1_000).toPrecision(3))
    } s. Allow more with timeoutMs, or --timeout.`,
    { cause: thrown },
  );
}

/** The memory in which models are fast, in bytes; undefined where it is unknown. */
function fastMemory(
  { gpus, unifiedMemory, memory, vram }: DeviceCapabilities,
): number | undefined {
  const mb = gpus.length > 0 && !unifiedMemory ? vram : memory;
  return mb === null || mb <= 0 ? undefined : mb * 2 ** 20;
}

/** It is its device's key that an engine does not take: the client has none for it. */
function forClient(failure: unknown): unknown {
  return failure instanceof NetworkError && failure.code === "PERMISSION_DENIED"
    ? new NetworkError("UNAVAILABLE", failure.message, { cause: failure })
    : failure;
}
