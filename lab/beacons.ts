/**
 * Hostile beacons, in three ways: a million let in one after the other on a node without a key,
 * malformed, truncated, oversized, deeply nested, wrongly typed, made up and replayed; as many on
 * one with a key, with true beacons among them; and, on Linux, 60,000 a second for ten seconds over
 * the loopback on a process of its own, while ten members are to be heard, and new ones come.
 *
 *     deno run -A lab/beacons.ts [--count 1000000] [--seed 1]
 *
 * With a smaller count there are two floods over the loopback, of all kinds at once, of three
 * seconds. Prints one JSON value, and a table on stderr: what the flooder sent and the program got
 * of it each second; the processor time of a second, and that of a process that only takes the
 * datagrams; how much memory grew; beacons of members that were heard, of those sent; members of
 * whom none was; new members that were answered, and after how long at most. The exit status is 1
 * when something was thrown or grew, a member was lost, or a new one was not answered.
 */

import { parseArgs } from "@std/cli/parse-args";
import type { FloodKind } from "../tests/discovery/flooder.ts";
import { loopbackFlood, MEMBER_HOSTS } from "../tests/discovery/loopback_flood.ts";
import { flood } from "../tests/support/hostile_beacons.ts";

/** What tables and counters may take. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** The same of a whole process, with garbage that was not collected yet. */
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;
const FLOOD_PER_SECOND = 60_000;
/** In three seconds a member sends one beacon, which the system may drop in a fuller flood. */
const SHORT_PER_SECOND = 30_000;

/** Addresses that nobody has. */
const STRANGERS = Array.from({ length: 2_048 }, (_, i) => `127.77.${i >> 8}.${i & 255}`);
const ONE = [STRANGERS[0]];
const ALL_KINDS: readonly FloodKind[] = ["random", "forged", "recorded"];

interface Attack {
  readonly name: string;
  readonly kinds: readonly FloodKind[];
  readonly sources: readonly string[];
}

const ATTACKS: readonly Attack[] = [
  { name: "random bytes, one source", kinds: ["random"], sources: ONE },
  { name: "random bytes, 2,048 sources", kinds: ["random"], sources: STRANGERS },
  { name: "right tag, garbage, one source", kinds: ["forged"], sources: ONE },
  { name: "right tag, garbage, 2,048 sources", kinds: ["forged"], sources: STRANGERS },
  { name: "the same from the members' addresses", kinds: ["forged"], sources: MEMBER_HOSTS },
  { name: "recorded, from one member's address", kinds: ["recorded"], sources: [MEMBER_HOSTS[0]] },
  { name: "recorded, from the members' addresses", kinds: ["recorded"], sources: MEMBER_HOSTS },
  { name: "recorded, one source", kinds: ["recorded"], sources: ONE },
  { name: "recorded, 2,048 sources", kinds: ["recorded"], sources: STRANGERS },
];
const ATTACKS_IN_SHORT: readonly Attack[] = [
  { name: "all kinds, one source", kinds: ALL_KINDS, sources: ONE },
  { name: "all kinds, 2,058 sources", kinds: ALL_KINDS, sources: [...STRANGERS, ...MEMBER_HOSTS] },
];

const args = parseArgs(Deno.args, { string: ["count", "seed"] });
const count = Number(args.count ?? 1_000_000);
const seed = Number(args.seed ?? 1);
const isShort = count < 1_000_000;

const letIn = [await letInAll("plain"), await letInAll("sealed")];
const floods = Deno.build.os === "linux" ? await runFloods() : [];
if (floods.length === 0) console.error("There are floods over the loopback on Linux only.");
const met = [...letIn, ...floods].every((one) => one.met);
console.log(JSON.stringify({ count, seed, met, letIn, floods }));
Deno.exitCode = met ? 0 : 1;

async function letInAll(form: "plain" | "sealed") {
  const startedAt = performance.now();
  const { report, peers, foreign, honest, heapGrowth } = await flood(count, seed, form);
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    form,
    met: heapGrowth < MAX_HELD_BYTES && honest.heard === honest.sent,
    seconds: Number(seconds.toFixed(1)),
    perSecond: Math.round(count / seconds),
    heapGrowthMb: megabytes(heapGrowth),
    peers,
    foreign,
    honest,
    heard: report.interfaces[0].heard,
    dropped: report.dropped,
  };
}

/** Each attack on a process that only takes datagrams, and on a node: the first is the baseline. */
async function runFloods() {
  const done = [];
  console.error(row("flood", "sent/s", "taken/s", "core", "bare", "MB", "beacons", "lost", "new"));
  for (const { name, ...attack } of isShort ? ATTACKS_IN_SHORT : ATTACKS) {
    const options = {
      ...attack,
      perSecond: isShort ? SHORT_PER_SECOND : FLOOD_PER_SECOND,
      seconds: isShort ? 3 : 10,
    };
    const bare = await loopbackFlood({ ...options, target: "bare", seconds: 3 });
    const outcome = await loopbackFlood({ ...options, target: "node" });
    const { sentPerSecond, receivedPerSecond, cpu, growthBytes, beacons, lost, contactsMs } =
      outcome;
    const answered = contactsMs.filter((ms) => ms !== null);
    const figures = {
      name,
      met: lost === 0 && answered.length === contactsMs.length && growthBytes < MAX_GROWTH_BYTES,
      sentPerSecond: Math.round(sentPerSecond),
      receivedPerSecond: Math.round(receivedPerSecond),
      cores: Number(cpu.toFixed(2)),
      bareCores: Number(bare.cpu.toFixed(2)),
      bareReceivedPerSecond: Math.round(bare.receivedPerSecond),
      growthMb: megabytes(growthBytes),
      beacons,
      lost,
      contacts: { sought: contactsMs.length, made: answered.length },
      slowestContactMs: Math.round(Math.max(...answered)),
      dropped: outcome.dropped,
    };
    done.push(figures);
    console.error(row(
      name,
      `${figures.sentPerSecond}`,
      `${figures.receivedPerSecond}`,
      figures.cores.toFixed(2),
      figures.bareCores.toFixed(2),
      `${figures.growthMb}`,
      `${beacons.heard}/${beacons.sent}`,
      `${lost}`,
      `${answered.length}/${contactsMs.length} ≤ ${figures.slowestContactMs} ms`,
    ));
  }
  return done;
}

function row(name: string, ...cells: string[]): string {
  return name.padEnd(40) + cells.map((cell) => `  ${cell}`.padStart(9)).join("");
}

function megabytes(bytes: number): number {
  return Number((bytes / 1e6).toFixed(1));
}
