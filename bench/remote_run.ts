/**
 * What a remote run costs: `network.run` of an agent that does nothing, on another process over the
 * loopback, with routing, bookkeeping and events, against a bare gRPC stream between the same two
 * processes, in turns. Bounded: ends by itself after about a minute.
 *
 *     deno task bench:remote [--json]
 */

import { createDistributedNetwork } from "../mod.ts";
import { Buffer } from "node:buffer";
import { BareStream } from "./bare_stream.ts";

const ROUNDS = 5;
const BROADCAST_PORT = 45_690;
const CASES = [
  { inFlight: 1, bytes: 64, calls: 2_000 },
  { inFlight: 16, bytes: 64, calls: 20_000 },
  { inFlight: 256, bytes: 64, calls: 40_000 },
  { inFlight: 256, bytes: 4_096, calls: 10_000 },
];

const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", "--quiet", import.meta.resolve("./remote_peer.ts"), `${BROADCAST_PORT}`],
  stdout: "piped",
  env: { DENO_NO_UPDATE_CHECK: "1" },
}).spawn();
const results: Record<string, unknown>[] = [];
try {
  const port = Number(await firstLine(child.stdout));
  await using network = createDistributedNetwork({
    name: "bench",
    networkInterfaces: ["lo"],
    nodeId: "caller",
    listenPort: 0,
    broadcastPort: BROADCAST_PORT,
  });
  await network.start({ waitForPeers: 1 });
  const single = new BareStream(port, false);
  const batched = new BareStream(port, true);
  for (const { inFlight, bytes, calls } of CASES) {
    const payload = Buffer.alloc(bytes, "x");
    const prompt = payload.toString();
    const ours = () => network.run(prompt, { initialAgent: "empty", nodeId: "peer" });
    const rates = { ours: [] as number[], single: [] as number[], batched: [] as number[] };
    for (let round = 0; round <= ROUNDS; round++) {
      const measured = {
        ours: await rate(ours, calls, inFlight),
        single: await rate(() => single.call(payload), calls, inFlight),
        batched: await rate(() => batched.call(payload), calls, inFlight),
      };
      // The first round warms up.
      if (round === 0) continue;
      rates.ours.push(measured.ours);
      rates.single.push(measured.single);
      rates.batched.push(measured.batched);
    }
    const ratio = (to: number[]) => median(rates.ours.map((value, i) => value / to[i]));
    results.push({
      inFlight,
      bytes,
      runsPerSecond: Math.round(median(rates.ours)),
      bareStream: Math.round(median(rates.single)),
      bareBatched: Math.round(median(rates.batched)),
      toBare: Number(ratio(rates.single).toFixed(2)),
      toBatched: Number(ratio(rates.batched).toFixed(2)),
    });
  }
  single.close();
  batched.close();
} finally {
  child.kill("SIGKILL");
  await child.status;
}
if (Deno.args.includes("--json")) console.log(JSON.stringify(results));
else console.table(results);
// gRPC's own timers would keep the process.
Deno.exit(0);

/** Calls a second with so many in flight. */
async function rate(
  call: () => Promise<unknown>,
  calls: number,
  inFlight: number,
): Promise<number> {
  const started = performance.now();
  let left = calls;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await call();
  }));
  return calls / (performance.now() - started) * 1000;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

async function firstLine(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  return value.trim();
}
