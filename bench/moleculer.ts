/**
 * A remote run against Moleculer's `broker.call`: `network.run` of an agent over mutual TLS, with
 * routing and bookkeeping, against an action over Moleculer's TCP transporter without encryption,
 * between the same two processes, in turns. Moleculer listens on all interfaces, so all of it goes
 * on in a network namespace of its own, which needs Linux and root. Ends by itself after about a
 * minute; the exit status is 1 when a goal was missed.
 *
 *     deno task bench:moleculer [--json]
 */

import { ServiceBroker } from "moleculer";
import { createDistributedNetwork } from "../mod.ts";
import { CALLER, PEER, PORTS, transporter } from "./moleculer_setting.ts";

const BROADCAST_PORT = 45_710;
const ROUNDS = 5;
/** The goals are ratios of ours to theirs: calls a second, and of one at a time the p50 latency. */
const CASES = [
  { inFlight: 1, bytes: 0, calls: 4_000, goal: 1 / 1.8 },
  { inFlight: 16, bytes: 0, calls: 40_000, goal: 1.5 },
  { inFlight: 256, bytes: 0, calls: 150_000, goal: 4 },
  { inFlight: 256, bytes: 4_096, calls: 40_000, goal: 1 },
];

if (!Deno.args.includes("--inside")) {
  const script = 'ip link set lo up && exec "$0" "$@"';
  const inside = new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", script, Deno.execPath(), "run", "-A", import.meta.filename!]
      .concat(Deno.args, "--inside"),
  });
  Deno.exit((await inside.spawn().status).code);
}

const dataDirectory = await Deno.makeTempDir();
const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", "--quiet", import.meta.resolve("./moleculer_peer.ts"), `${BROADCAST_PORT}`],
  stdout: "piped",
  stderr: "null",
  env: { DENO_NO_UPDATE_CHECK: "1", HANZO_NETWORK_DATA_DIR: dataDirectory },
}).spawn();
const rows: Record<string, number | string>[] = [];
let met = true;
try {
  await child.stdout.getReader().read();
  await using network = createDistributedNetwork({
    name: "bench",
    dataDirectory,
    networkInterfaces: ["lo"],
    nodeId: "caller",
    listenPort: 0,
    broadcastPort: BROADCAST_PORT,
  });
  await network.start({ waitForPeers: 1 });
  const broker = new ServiceBroker({
    nodeID: CALLER,
    logger: false,
    transporter: transporter(PORTS[CALLER]),
  });
  await broker.start();
  await broker.waitForServices("bench");
  for (const { inFlight, bytes, calls, goal } of CASES) {
    const text = "x".repeat(bytes);
    const name = bytes === 0 ? "empty" : "echo";
    const ours = () => network.run(text, { initialAgent: name });
    const theirs = () => broker.call(`bench.${name}`, { text }, { nodeID: PEER });
    const ratios: number[] = [];
    const seen = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round <= ROUNDS; round++) {
      const one = await measured(ours, calls, inFlight);
      const other = await measured(theirs, calls, inFlight);
      // The first round warms up.
      if (round === 0) continue;
      seen.ours.push(one.perSecond);
      seen.theirs.push(other.perSecond);
      ratios.push(inFlight === 1 ? other.p50Ms / one.p50Ms : one.perSecond / other.perSecond);
    }
    const ratio = median(ratios);
    met &&= ratio >= goal;
    rows.push({
      inFlight,
      bytes,
      ours: Math.round(median(seen.ours)),
      moleculer: Math.round(median(seen.theirs)),
      ratio: Number(ratio.toFixed(2)),
      goal: Number(goal.toFixed(2)),
      met: ratio >= goal ? "yes" : "NO",
    });
  }
  await broker.stop();
} finally {
  child.kill("SIGKILL");
  await child.status;
  await Deno.remove(dataDirectory, { recursive: true });
}
if (Deno.args.includes("--json")) console.log(JSON.stringify(rows));
else console.table(rows);
// gRPC's own timers would keep the process.
Deno.exit(met ? 0 : 1);

/** Calls a second with so many in flight, and the median of how long one takes. */
async function measured(
  call: () => Promise<unknown>,
  calls: number,
  inFlight: number,
): Promise<{ perSecond: number; p50Ms: number }> {
  const started = performance.now();
  const times: number[] = [];
  let left = calls;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) {
      // To look at the clock twice takes a twentieth of a call where many are in flight.
      const at = inFlight === 1 ? performance.now() : 0;
      await call();
      if (inFlight === 1) times.push(performance.now() - at);
    }
  }));
  return { perSecond: calls / (performance.now() - started) * 1000, p50Ms: median(times) };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
