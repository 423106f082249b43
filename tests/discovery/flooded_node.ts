/**
 * A node as far as beacons go, on the loopback, to be flooded by `lab/beacons.ts`. Answers each
 * line on standard input with one of JSON: what it has used, and what came of beacons so far.
 *
 *     deno run -A tests/discovery/flooded_node.ts PORT KEY node|bare
 *
 * `bare` only takes datagrams from the system and counts them: what nobody can do without.
 */

import process from "node:process";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { UdpDiscovery } from "../../src/discovery/udp.ts";
import type { DropReason } from "../../src/discovery/udp_report.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { systemDatagrams } from "../../src/transport/system_datagrams.ts";

/** What a flooded node says of itself. */
export interface FloodedNodeReport {
  /** Processor time, in seconds. */
  readonly cpuS: number;
  readonly rssBytes: number;
  /** Datagrams that reached the program. */
  readonly received: number;
  /** Beacons that were taken, by node. */
  readonly heard: Readonly<Record<string, number>>;
  /** Datagrams that were not, by reason. */
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
}

if (import.meta.main) await main(Number(Deno.args[0]), Deno.args[1], Deno.args[2] === "bare");

async function main(port: number, key: string, isBare: boolean): Promise<void> {
  const report = isBare ? await takeAll(port) : await discover(port, key);
  console.log("ready");
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const _ of lines) {
    const { user, system } = process.cpuUsage();
    const used = { cpuS: (user + system) / 1e6, rssBytes: Deno.memoryUsage().rss };
    console.log(JSON.stringify({ ...used, ...report() } satisfies FloodedNodeReport));
  }
  Deno.exit(0);
}

type Counts = Pick<FloodedNodeReport, "received" | "heard" | "dropped">;

async function takeAll(port: number): Promise<() => Counts> {
  let received = 0;
  await systemDatagrams().bind(
    { host: "127.255.255.255", port },
    { shared: true },
    () => void received++,
  );
  return () => ({ received, heard: {}, dropped: {} });
}

async function discover(port: number, key: string): Promise<() => Counts> {
  const keys = [NetworkKey.from(Uint8Array.fromHex(key))];
  const self = { nodeId: "flooded", bootId: "FLOODED", network: "lab", listenPort: 5681 };
  const heard: Record<string, number> = {};
  const discovery = new UdpDiscovery({
    transport: systemDatagrams(),
    clock: systemClock,
    logger: silentLogger,
    interfaces: { names: [], lan: false },
    broadcastPort: port,
    self: () => self,
    keys: () => keys,
    allows: () => true,
    isUrgent: () => false,
  });
  await discovery.start({
    sighted({ nodeId }) {
      heard[nodeId] = (heard[nodeId] ?? 0) + 1;
      // As long as nobody is linked, everybody is answered.
      return true;
    },
    listed() {},
  });
  return () => {
    const { dropped, interfaces: [{ own, heard: others }] } = discovery.report();
    const counts = Object.entries(dropped).map(([reason, { count }]) => [reason, count] as const)
      .filter(([, count]) => count > 0);
    const refused = counts.reduce((sum, [, count]) => sum + count, 0);
    return { received: refused + own + others, heard, dropped: Object.fromEntries(counts) };
  };
}
