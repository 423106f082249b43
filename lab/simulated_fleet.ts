/**
 * Devices that compute as fast as their TFLOPS, in one process, with time that only the experiment
 * moves: the program's own router, dispatcher and executors, and links that take a millisecond.
 */

import { createAgent, describeAgent } from "../src/agents/agent.ts";
import type { Workload } from "../src/agents/requirements.ts";
import { Cancellation } from "../src/base/cancellation.ts";
import { type Clock, sleep } from "../src/base/clock.ts";
import { NetworkError } from "../src/base/errors.ts";
import { silentLogger } from "../src/base/log.ts";
import { ManualClock } from "../src/base/manual_clock.ts";
import { seededRandom } from "../src/base/random.ts";
import { ulidMaker } from "../src/base/ulid.ts";
import { bytesOf, type IncomingCall } from "../src/link/call.ts";
import type { Candidate } from "../src/routing/candidate.ts";
import { Router } from "../src/routing/router.ts";
import type { RoutingStrategy } from "../src/routing/strategy.ts";
import { Circuits } from "../src/tasks/circuits.ts";
import { Dispatcher } from "../src/tasks/dispatcher.ts";
import { Executor } from "../src/tasks/executor.ts";
import { type CallingLink, serveRun } from "../src/tasks/remote.ts";
import { device } from "../tests/support/candidates.ts";

/** A device of the experiment. */
export interface SimulatedDevice {
  readonly nodeId: string;
  /** Shared by its slots. */
  readonly tflops: number;
  readonly slots: number;
}

/** A task of the experiment. */
export interface SimulatedTask {
  readonly agent: string;
  /** In TFLOPS times milliseconds. */
  readonly work: number;
}

/** An agent of the experiment: all that it does is to take its time. */
export interface SimulatedAgent {
  readonly name: string;
  readonly workload: Workload;
}

/** What a run of the experiment came to; times in simulated milliseconds. */
export interface FleetOutcome {
  readonly totalMs: number;
  /** How many tasks each device has done. */
  readonly done: Readonly<Record<string, number>>;
  /** How often a device was full. */
  readonly refusals: number;
}

/** How far away a device is, there and back. */
const ROUND_TRIP_MS = 1;

/** How the tasks of an experiment are sent. */
export interface FleetPlan {
  readonly strategy: RoutingStrategy;
  /** Nodes that send, each with its own view of the devices. */
  readonly callers: number;
  /** Tasks at a time of each of them. */
  readonly concurrency: number;
  readonly seed: number;
}

/** Runs all tasks; who is refused comes again when it was told to. */
export async function runFleet(
  devices: readonly SimulatedDevice[],
  agents: readonly SimulatedAgent[],
  tasks: readonly SimulatedTask[],
  { strategy, callers, concurrency, seed }: FleetPlan,
): Promise<FleetOutcome> {
  const clock = new ManualClock();
  const random = seededRandom(seed);
  const nodes = devices.map((one) => new SimulatedNode(one, agents, clock));
  const dispatchers = Array.from({ length: callers }, () => {
    const views = new Map(nodes.map((node) => [node.nodeId, node.view()]));
    const candidates = [...views.values()].map(({ candidate }) => candidate);
    return new Dispatcher({
      clock,
      logger: silentLogger,
      random,
      newTaskId: ulidMaker(clock, random),
      router: new Router({ strategy, clock, random, logger: silentLogger, agents: () => [] }),
      circuits: new Circuits(clock),
      executor: new Executor({
        nodeId: "caller",
        clock,
        agents: new Map(),
        slots: 1,
        ask: nobodyAsks,
      }),
      candidates: () => candidates,
      heartbeatMs: 1_000,
      link: (nodeId) => views.get(nodeId)?.link,
    });
  });
  const described = new Map(
    agents.map((agent) => [agent.name, describeAgent(computing(agent, 1, clock))]),
  );
  const done: Record<string, number> = {};
  let refusals = 0;
  let next = 0;
  let lastMs = 0;
  const work = async (dispatcher: Dispatcher) => {
    while (next < tasks.length) {
      const { agent, work } = tasks[next++];
      for (;;) {
        try {
          const { nodeId } = await dispatcher.run({
            agent: described.get(agent)!,
            prompt: `${work}`,
            context: "",
            timeoutMs: 24 * 3_600_000,
          }, () => {});
          done[nodeId] = (done[nodeId] ?? 0) + 1;
          lastMs = clock.now();
          break;
        } catch (thrown) {
          if (!(thrown instanceof NetworkError) || thrown.code !== "RESOURCE_EXHAUSTED") {
            throw thrown;
          }
          refusals++;
          await sleep(clock, thrown.retryAfterMs ?? 100);
        }
      }
    }
  };
  let isOver = false;
  const workers = dispatchers.flatMap((one) =>
    Array.from({ length: concurrency }, () => work(one))
  );
  const all = Promise.all(workers).finally(() => isOver = true);
  while (!isOver) await clock.advance(1_000);
  await all;
  return { totalMs: lastMs, done, refusals };
}

/** An agent that takes as long as its prompt says, on a slot of so many TFLOPS. */
function computing({ name, workload }: SimulatedAgent, tflops: number, clock: Clock) {
  return createAgent({
    name,
    description: "Takes its time",
    workload,
    run: async ({ prompt, signal }) => {
      await sleep(clock, Number(prompt) / tflops, signal);
      return "";
    },
  });
}

class SimulatedNode {
  readonly nodeId: string;
  readonly #tflops: number;
  readonly #executor: Executor;
  readonly #clock: Clock;
  readonly #agents: ReadonlySet<string>;

  constructor(
    { nodeId, tflops, slots }: SimulatedDevice,
    agents: readonly SimulatedAgent[],
    clock: Clock,
  ) {
    this.nodeId = nodeId;
    this.#tflops = tflops;
    this.#clock = clock;
    this.#agents = new Set(agents.map(({ name }) => name));
    const own = agents.map((agent) => computing(agent, tflops / slots, clock));
    this.#executor = new Executor({
      nodeId,
      clock,
      agents: new Map(own.map((agent) => [agent.name, agent])),
      slots,
      ask: nobodyAsks,
    });
  }

  /** As one caller sees it: what is there, and what it has itself just sent. */
  view(): { candidate: Candidate; link: CallingLink } {
    const executor = this.#executor;
    const { slots } = executor;
    let onTheWay = 0;
    const pending = () => executor.running + executor.queued + onTheWay;
    const later = (what: () => void) => this.#clock.after(ROUND_TRIP_MS / 2, what);
    const candidate = Object.defineProperties(
      device(this.nodeId, { flops: { fp32: null, fp16: this.#tflops, int8: null } }, {
        agents: this.#agents,
        slots,
        roundTripMs: ROUND_TRIP_MS,
      }),
      { pending: { get: pending }, currentLoad: { get: () => pending() / slots } },
    );
    const link: CallingLink = {
      call: (method, body, sink) => {
        onTheWay++;
        const call: IncomingCall = {
          method,
          body: bytesOf(body),
          cancellation: new Cancellation(),
          begin: () => void later(() => sink.onItem(new Uint8Array())),
          send: (item) => void later(() => sink.onItem(bytesOf(item))),
          end: (answer) => void later(() => sink.onEnd({ ok: true, body: bytesOf(answer ?? "") })),
          fail: (error) => void later(() => sink.onEnd({ ok: false, error })),
        };
        later(() => {
          onTheWay--;
          serveRun(call, executor, "caller");
        });
        return { cancel: () => call.cancellation.cancel(new Error("cancelled")), consumed() {} };
      },
      ping: () => Promise.resolve(ROUND_TRIP_MS),
      lastHeard: 0,
      isSending: false,
    };
    return { candidate, link };
  }
}

function nobodyAsks(): Promise<never> {
  return Promise.reject(new Error("No simulated agent asks another one."));
}
