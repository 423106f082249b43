/** How long agents take on which device, from what executors say of tasks that have ended. */

import type { AgentTimes, ServiceTimes } from "../routing/expectation.ts";

/** Each new figure counts for an eighth: a device that changes is known after a dozen tasks. */
const WEIGHT = 1 / 8;
/** More agents than a network has. */
const MAX_AGENTS = 1_024;
/** More nodes than one node has links to. */
const MAX_NODES = 1_024;

class Times implements AgentTimes {
  readonly #nodes = new Map<string, number>();
  ms: number;
  work: number;

  constructor(ms: number, work: number) {
    this.ms = ms;
    this.work = work;
  }

  on(nodeId: string): number | undefined {
    return this.#nodes.get(nodeId);
  }

  note(nodeId: string, ms: number, work: number): void {
    this.ms += (ms - this.ms) * WEIGHT;
    this.work += (work - this.work) * WEIGHT;
    blend(this.#nodes, nodeId, ms);
  }
}

/** See the top of the file. */
export class ServiceTimeTable implements ServiceTimes {
  readonly #agents = new Map<string, Times>();
  readonly #nodes = new Map<string, number>();

  /**
   * A task has ended well.
   *
   * @param ms How long it had a slot.
   * @param tflops The speed of the node.
   */
  note(agent: string, nodeId: string, ms: number, tflops: number): void {
    const work = ms * tflops;
    let times = this.#agents.get(agent);
    if (times === undefined) {
      times = new Times(ms, work);
      this.#agents.set(agent, times);
      forgetOldest(this.#agents, MAX_AGENTS);
    }
    times.note(nodeId, ms, work);
    blend(this.#nodes, nodeId, ms);
  }

  of(agent: string): AgentTimes | undefined {
    return this.#agents.get(agent);
  }

  mean(nodeId: string): number | undefined {
    return this.#nodes.get(nodeId);
  }
}

function blend(means: Map<string, number>, nodeId: string, ms: number): void {
  const mean = means.get(nodeId);
  means.set(nodeId, mean === undefined ? ms : mean + (ms - mean) * WEIGHT);
  forgetOldest(means, MAX_NODES);
}

function forgetOldest(map: Map<string, unknown>, most: number): void {
  if (map.size > most) map.delete(map.keys().next().value!);
}
