/**
 * What is done to five nodes, and what is measured of it.
 *
 * Times begin before the fault is caused, so that they contain the causing, a few milliseconds, and
 * end when the line arrives by which the last node tells.
 *
 * @module
 */

import type { Quantity } from "./figures.ts";
import type { FiveNodes } from "./five_nodes.ts";
import { type FleetNode, NotInTime, others } from "../tests/support/lan_fleet.ts";

/** One experiment. */
export interface Experiment {
  readonly name: string;
  readonly quantities: readonly Quantity[];
  /** How often it is repeated. */
  readonly runs: number;
  /** The same where it must not take long. */
  readonly shortRuns: number;
  /** Whether bare nodes are measured, too. */
  readonly hasBaseline: boolean;

  /**
   * One repetition.
   *
   * @param five The nodes.
   * @param run The number of the repetition, from 0.
   * @param isShort Whether it must not take long.
   * @returns A value of each quantity, in their order; `Infinity` for what did not come in time.
   */
  measure(five: FiveNodes, run: number, isShort: boolean): Promise<number[]>;
}

/** How long what is promised within less is awaited. */
const PATIENCE_MS = 20_000;

const meet: Experiment = {
  name: "meet",
  quantities: [{
    name: "all see all",
    promise: "after the last of five, started at once, is ready",
    unit: "ms",
    limit: 300,
    judged: "p95",
  }],
  runs: 20,
  shortRuns: 2,
  hasBaseline: true,
  async measure(five) {
    const nodes = await five.startAnew();
    const ready = performance.now();
    return [await elapsed(ready, five.fleet.untilAllSeeAll(nodes, PATIENCE_MS))];
  },
};

const kill: Experiment = {
  name: "kill",
  quantities: [{
    name: "no work",
    promise: "after SIGKILL nobody routes to it",
    unit: "ms",
    limit: 100,
    judged: "p95",
  }, {
    name: "gone",
    promise: "after SIGKILL it is out of all tables",
    unit: "ms",
    limit: 1_000,
    judged: "p95",
  }],
  runs: 20,
  shortRuns: 2,
  hasBaseline: true,
  async measure(five, run) {
    const nodes = await five.settled();
    const victim = nodes[run % nodes.length];
    const killed = performance.now();
    const rest = five.kill(victim);
    return [
      await elapsed(killed, untilUnusable(five, rest, victim)),
      await elapsed(killed, untilGone(five, rest, victim)),
    ];
  },
};

const cut: Experiment = {
  name: "cut",
  quantities: [{
    name: "no work",
    promise: "after its cable is cut nobody routes to it",
    unit: "ms",
    limit: 3_000,
    judged: "max",
  }, {
    name: "gone",
    promise: "after its cable is cut it is out of all tables",
    unit: "ms",
    limit: 10_000,
    judged: "max",
  }],
  runs: 10,
  shortRuns: 1,
  hasBaseline: false,
  async measure(five, run) {
    const nodes = await five.settled();
    const { lan } = five.fleet;
    const victim = nodes[run % nodes.length];
    const rest = others(nodes, victim);
    const cut = performance.now();
    await lan.unplug(victim.host);
    const values = [
      await elapsed(cut, untilUnusable(five, rest, victim)),
      await elapsed(cut, untilGone(five, rest, victim)),
    ];
    await lan.plug(victim.host);
    return values;
  },
};

const PAUSE_MS = 4_000;

const pause: Experiment = {
  name: "pause",
  quantities: [{
    name: "removals",
    promise: "SIGSTOP for 4 s: nobody removes anybody",
    unit: "times",
    limit: 0,
    judged: "max",
  }, {
    name: "all see all",
    promise: "after SIGCONT",
    unit: "ms",
  }],
  runs: 20,
  shortRuns: 1,
  hasBaseline: false,
  async measure(five, run) {
    const nodes = await five.settled();
    const { process } = nodes[run % nodes.length];
    const stopped = performance.now();
    process.kill("SIGSTOP");
    await wait(PAUSE_MS);
    const continued = performance.now();
    process.kill("SIGCONT");
    // What it does of the past four seconds, it does now.
    await wait(1_000);
    const recovered = await elapsed(continued, five.fleet.untilAllSeeAll(nodes, PATIENCE_MS));
    return [count(nodes, stopped, "peer-died", "peer-left"), recovered];
  },
};

const split: Experiment = {
  name: "split",
  quantities: [{
    name: "all see all",
    promise: "after a partition of 2 and 3 for 15 s (short: 12 s) heals",
    unit: "ms",
    limit: 2_000,
    judged: "max",
  }, {
    name: "apart",
    promise: "entries given up meanwhile, of 12 in all tables",
    unit: "times",
  }],
  runs: 10,
  shortRuns: 1,
  hasBaseline: false,
  async measure(five, _run, isShort) {
    const nodes = await five.settled();
    const { fleet } = five;
    const [left, right] = [nodes.slice(0, 2), nodes.slice(2)];
    await fleet.lan.partition(left.map(({ host }) => host), right.map(({ host }) => host));
    await wait(isShort ? 12_000 : 15_000);
    const apart = nodes.map((node) =>
      others(nodes, node).filter((peer) => node.hasLost(peer)).length
    ).reduce((sum, lost) => sum + lost);
    const healed = performance.now();
    await fleet.lan.heal();
    return [await elapsed(healed, fleet.untilAllSeeAll(nodes, PATIENCE_MS)), apart];
  },
};

const loss: Experiment = {
  name: "loss",
  quantities: [{
    name: "deaths",
    promise: "10 % loss for two minutes (short: 8 s): nobody is taken for dead",
    unit: "times",
    limit: 0,
    judged: "max",
  }, {
    name: "suspicions",
    promise: "meanwhile",
    unit: "times",
  }],
  runs: 1,
  shortRuns: 1,
  hasBaseline: false,
  async measure(five, _run, isShort) {
    const nodes = await five.settled();
    const { lan } = five.fleet;
    const begun = performance.now();
    for (const { host } of nodes) await lan.loss(host, 10);
    await wait(isShort ? 8_000 : 120_000);
    const counts = [count(nodes, begun, "peer-died"), count(nodes, begun, "peer-suspect")];
    await lan.heal();
    return counts;
  },
};

/** All, in the order in which they are made. */
export const EXPERIMENTS: readonly Experiment[] = [meet, kill, cut, pause, split, loss];

function untilUnusable(
  { fleet }: FiveNodes,
  rest: readonly FleetNode[],
  peer: FleetNode,
): Promise<number> {
  const holds = () => rest.every((node) => node.stateOf(peer) !== "alive");
  return fleet.until(`nobody to use ${peer.nodeId}`, rest, holds, PATIENCE_MS);
}

function untilGone(
  { fleet }: FiveNodes,
  rest: readonly FleetNode[],
  peer: FleetNode,
): Promise<number> {
  const holds = () => rest.every((node) => node.hasLost(peer));
  return fleet.until(`${peer.nodeId} to be gone`, rest, holds, PATIENCE_MS);
}

/** How often the nodes have told one of these since then. */
function count(nodes: readonly FleetNode[], since: number, ...types: string[]): number {
  return nodes.flatMap(({ told }) => told)
    .filter(({ at, type }) => at >= since && types.includes(type)).length;
}

/** Milliseconds up to a moment, 0 for an earlier one; `Infinity` if it did not come in time. */
async function elapsed(since: number, moment: Promise<number>): Promise<number> {
  try {
    return Math.max(0, await moment - since);
  } catch (error) {
    if (error instanceof NotInTime) return Infinity;
    throw error;
  }
}

function wait(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
