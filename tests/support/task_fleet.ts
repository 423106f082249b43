/** A dispatcher among devices that do what the test says. */

import { assert } from "@std/assert";
import { type Agent, type AgentAnswer, describeAgent } from "../../src/agents/agent.ts";
import type { AgentEvent, EmitRunEvent, RunEvent, RunResult } from "../../src/agents/run_event.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ulidMaker } from "../../src/base/ulid.ts";
import { silentLogger } from "../../src/base/log.ts";
import { bytesOf, type CallSink, type OutgoingCall } from "../../src/link/call.ts";
import type { Body } from "../../src/link/frame.ts";
import type { Candidate } from "../../src/routing/candidate.ts";
import { Router } from "../../src/routing/router.ts";
import { type CustomRouter, RoutingStrategy } from "../../src/routing/strategy.ts";
import { Circuits } from "../../src/tasks/circuits.ts";
import { Dispatcher } from "../../src/tasks/dispatcher.ts";
import type { CallingLink } from "../../src/tasks/remote.ts";
import type { Task } from "../../src/tasks/task.ts";
import { decodeTask } from "../../src/tasks/task_codec.ts";
import type { RunRequest } from "../../src/tasks/run_request.ts";
import { device as anyDevice } from "./candidates.ts";
import { encodeAnswer, encodeEvent, executorWith, heldAgent } from "./task_rig.ts";
import { WatchedClock } from "./watched_clock.ts";

/** A run that a device was asked for, whose other side is the test. */
export class AskedRun {
  readonly task: Task;
  readonly #sink: CallSink;
  cancelled = false;
  bytesConsumed = 0;

  constructor(body: Body, sink: CallSink) {
    this.task = decodeTask(bytesOf(body));
    this.#sink = sink;
  }

  begin(): void {
    this.#sink.onItem(new Uint8Array());
  }

  say(event: AgentEvent): number {
    return this.send(encodeEvent(event));
  }

  send(body: Uint8Array): number {
    this.#sink.onItem(body);
    return body.length;
  }

  answer(answer: AgentAnswer): void {
    this.#sink.onEnd({ ok: true, body: encodeAnswer({ serviceMs: 0, ...answer }) });
  }

  /** As an executor says it where somebody has stopped the task. */
  stop(cancelled: string): void {
    this.#sink.onEnd({ ok: true, body: encodeAnswer({ cancelled, serviceMs: 0 }) });
  }

  fail(code: ErrorCode, message: string = code, retryAfterMs?: number): void {
    // As a link that was lost says it; an executor gives no cause.
    const cause = code === "UNKNOWN_OUTCOME" ? new Error("the link broke") : undefined;
    this.#sink.onEnd({
      ok: false,
      error: new NetworkError(code, message, { retryAfterMs, cause }),
    });
  }

  control(): OutgoingCall {
    return {
      cancel: () => this.cancelled = true,
      consumed: (count) => this.bytesConsumed += count,
    };
  }
}

/** This device, which holds its runs, and others that do what the test says. */
export class Fleet {
  readonly clock = new WatchedClock();
  readonly here = heldAgent({ workload: "heavy" });
  readonly asked = new Map<string, AskedRun[]>();
  readonly events: RunEvent[] = [];
  readonly candidates: Candidate[] = [];
  readonly linkless = new Set<string>();
  /** Devices that do not answer. */
  readonly silent = new Set<string>();
  readonly circuits = new Circuits(this.clock);
  readonly executor = executorWith(this.clock, 1, this.here.agent);
  readonly dispatcher: Dispatcher;
  agent: Agent = this.here.agent;

  /** @param names Devices, the fastest first; `here` is this one. */
  constructor(names: string[], customRouter?: CustomRouter) {
    names.forEach((nodeId, i) => this.candidates.push(this.#device(nodeId, 100 / 10 ** i)));
    this.dispatcher = new Dispatcher({
      clock: this.clock,
      logger: silentLogger,
      random: seededRandom(1),
      newTaskId: ulidMaker(this.clock, seededRandom(1)),
      router: new Router({
        strategy: RoutingStrategy.CapabilityBased,
        customRouter,
        clock: this.clock,
        random: seededRandom(1),
        logger: silentLogger,
        agents: () => ["held"],
      }),
      circuits: this.circuits,
      executor: this.executor,
      candidates: () => this.candidates,
      heartbeatMs: 1_000,
      link: (nodeId) => this.linkless.has(nodeId) ? undefined : this.#link(nodeId),
    });
  }

  /** Runs the agent; see what comes of it in `events` and the returned outcome. */
  run(overrides: Partial<RunRequest> = {}, emit?: EmitRunEvent): Outcome {
    const outcome: Outcome = { result: undefined, error: undefined };
    this.dispatcher.run(
      {
        agent: describeAgent(this.agent),
        prompt: "p",
        context: "",
        timeoutMs: 10_000,
        ...overrides,
      },
      emit ?? ((event) => void this.events.push(event)),
    ).then((result) => outcome.result = result, (error) => outcome.error = error);
    return outcome;
  }

  /** The last run that `nodeId` was asked for. */
  async ask(nodeId: string): Promise<AskedRun> {
    await this.settle();
    const run = this.asked.get(nodeId)?.at(-1);
    assert(run !== undefined, `${nodeId} was asked for no run`);
    return run;
  }

  settle(): Promise<void> {
    return this.clock.advance(0);
  }

  /** The events in short: `"routed a"`, `"token x"`. */
  told(): string[] {
    return this.events.map((event) => {
      if (event.type === "token") return `token ${event.text}`;
      return "nodeId" in event ? `${event.type} ${event.nodeId}` : event.type;
    });
  }

  #device(nodeId: string, fp16: number): Candidate {
    const { circuits } = this;
    return Object.defineProperty(device(nodeId, fp16), "isDoubtful", {
      get: () => circuits.isDoubtful(nodeId),
    });
  }

  #link(nodeId: string): CallingLink {
    return {
      call: (_method, body, sink) => {
        const run = new AskedRun(body, sink);
        this.asked.set(nodeId, [...this.asked.get(nodeId) ?? [], run]);
        return run.control();
      },
      ping: () => this.silent.has(nodeId) ? new Promise(() => {}) : Promise.resolve(1),
      lastHeard: this.clock.now(),
      isSending: false,
    };
  }
}

/** What came of a run. */
export interface Outcome {
  result: RunResult | undefined;
  error: NetworkError | undefined;
}

/** A device with the agent `held` and one slot. */
export function device(nodeId: string, fp16: number): Candidate {
  const capabilities = { memory: 8_192, flops: { fp32: null, fp16, int8: null }, cores: 4 };
  const isLocal = nodeId === "here";
  return anyDevice(nodeId, capabilities, { isLocal, agents: new Set(["held"]), slots: 1 });
}
