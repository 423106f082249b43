/**
 * A thousand nodes in one process, on a network in memory whose time stands still until it is
 * moved: do they all find each other, does what a node sends stay the same whatever the size, and
 * is nobody taken for dead who is not?
 *
 * Prints one JSON value; the exit status is 1 when a promise was missed. A thousand take some 12 GB.
 *
 *     deno task lab:simulation [--nodes 1000] [--seconds 30] [--seed 1]
 */

import { parseArgs } from "@std/cli/parse-args";
import type { NetworkEvent } from "../src/network/status.ts";
import { MemoryFleet, type MemoryNode } from "../tests/support/memory_fleet.ts";

/** One in a hundred goes and another one comes, over the time that is simulated. */
const CHURN = 0.01;
/** What the messages of a node are compared with. */
const SMALL = 20;
/** How long all may take to see all. */
const JOIN_LIMIT_MS = 30_000;

/** What became of one size of network. */
interface Outcome {
  nodes: number;
  /** Until all saw all, in simulated milliseconds after the last start. */
  joinedAfterMs: number;
  /** Frames and datagrams that a node sends in a second of quiet. */
  messagesPerNodeAndSecond: number;
  /** Nodes that were cut off without a word, and as many that came. */
  churned: number;
  /** Deaths that were told of nodes that lived. */
  falseDeaths: number;
  /** Whether in the end all that live saw all that live, and nobody else. */
  allAgree: boolean;
  /** How long it took on this machine, in seconds. */
  realSeconds: number;
}

const args = parseArgs(Deno.args, { string: ["nodes", "seconds", "seed"] });
const nodes = Number(args.nodes ?? 1_000);
const seconds = Number(args.seconds ?? 30);
const seed = Number(args.seed ?? 1);
const small = await simulate(SMALL);
const large = await simulate(nodes);
const ratio = large.messagesPerNodeAndSecond / small.messagesPerNodeAndSecond;
const met = ratio < 1.1 && large.falseDeaths === 0 && large.allAgree;
console.log(JSON.stringify({ seed, small, large, messagesRatio: Number(ratio.toFixed(3)), met }));
// The nodes still hold timers; what was to be measured has been.
Deno.exit(met ? 0 : 1);

async function simulate(size: number): Promise<Outcome> {
  const startedAt = performance.now();
  const tell = (what: string) => {
    const elapsed = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.error(`${size} nodes, ${elapsed} s: ${what}`);
  };
  const fleet = new MemoryFleet(seed, { latencyMs: 0.5, jitterMs: 0 });
  const living = new Set<MemoryNode>();
  const create = (i: number) => fleet.create({ nodeId: `n${i}` });
  const first = Array.from({ length: size }, (_, i) => create(i));
  await fleet.wait(Promise.all(first.map(({ network }) => network.start())));
  for (const node of first) living.add(node);
  let joinedAfterMs = 0;
  while (!agree(living) && joinedAfterMs < JOIN_LIMIT_MS) {
    await fleet.advance(100);
    joinedAfterMs += 100;
  }
  tell(`all saw all after ${joinedAfterMs} ms`);

  const before = sent(fleet);
  await fleet.advance(5_000);
  const messages = (sent(fleet) - before) / size / 5;
  tell(`${messages.toFixed(2)} messages per node and second`);

  const churned = Math.max(1, Math.round(size * CHURN));
  const killed = new Set<string>();
  for (let i = 0; i < churned; i++) {
    const victim = first[i * Math.floor(size / churned)];
    fleet.kill(victim);
    living.delete(victim);
    killed.add(victim.network.nodeId);
    const fresh = create(size + i);
    await fleet.wait(fresh.network.start());
    living.add(fresh);
    await fleet.advance((seconds * 1_000) / churned);
  }
  await fleet.advance(15_000);
  const isFalse = ({ type, nodeId }: NetworkEvent) => type === "peer-died" && !killed.has(nodeId);
  const falseDeaths = [...living].flatMap(({ events }) => events.filter(isFalse)).length;
  const outcome = {
    nodes: size,
    joinedAfterMs,
    messagesPerNodeAndSecond: Number(messages.toFixed(3)),
    churned,
    falseDeaths,
    allAgree: agree(living),
    realSeconds: Math.round((performance.now() - startedAt) / 100) / 10,
  };
  tell("done");
  return outcome;
}

function sent({ links, lan }: MemoryFleet): number {
  return links.framesSent + lan.datagramsSent;
}

/** Whether all that live see all that live, and nobody else. */
function agree(living: ReadonlySet<MemoryNode>): boolean {
  const names = new Set([...living].map(({ network }) => network.nodeId));
  return [...living].every(({ network }) => {
    const peers = Object.values(network.getNetworkStatus().peers);
    return peers.length === names.size - 1 &&
      peers.every(({ nodeId, state }) => state === "alive" && names.has(nodeId));
  });
}
