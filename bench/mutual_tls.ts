/**
 * What mutual TLS costs: frames to another process over the loopback and back, on a warm link, over
 * mutual TLS against the same in the clear, in turns. Ends by itself after about half a minute.
 *
 *     deno task bench:tls [--json]
 */

import type { FrameStream, LinkTransport } from "../src/link/frame_stream.ts";
import { grpcTransport } from "../src/link/grpc_transport.ts";
import { NetworkKey } from "../src/security/network_key.ts";
import { memberOf } from "../tests/support/members.ts";

const ROUNDS = 9;
const CASES = [
  { inFlight: 1, bytes: 64, frames: 4_000 },
  { inFlight: 1, bytes: 4_096, frames: 4_000 },
  { inFlight: 64, bytes: 4_096, frames: 20_000 },
];

/** Frames that are on their way, in order: each comes back as it was sent. */
class Echo {
  readonly #stream: FrameStream;
  readonly #waiting: (() => void)[] = [];

  constructor(stream: FrameStream) {
    this.#stream = stream;
    stream.start({ onFrame: () => this.#waiting.shift()?.(), onDrain() {}, onClose() {} });
  }

  static async dial(transport: LinkTransport, port: number): Promise<Echo> {
    const { signal } = new AbortController();
    return new Echo(await transport.dial({ host: "127.0.0.1", port }, signal));
  }

  send(frame: Uint8Array): Promise<void> {
    this.#stream.send(frame);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#stream.close();
  }
}

const key = NetworkKey.generate();
const child = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", "--quiet", import.meta.resolve("./frame_echo.ts")],
  stdin: "piped",
  stdout: "piped",
  env: { DENO_NO_UPDATE_CHECK: "1" },
}).spawn();
const results: Record<string, number>[] = [];
try {
  const stdin = child.stdin.getWriter();
  // Not an argument: those can be seen by others.
  await stdin.write(key.reveal());
  await stdin.close();
  const [plainPort, securedPort] = (await firstLine(child.stdout)).split(" ").map(Number);
  const plain = await Echo.dial(grpcTransport(), plainPort);
  const secured = await Echo.dial(
    grpcTransport({ security: await memberOf(key, "bench") }),
    securedPort,
  );
  for (const { inFlight, bytes, frames } of CASES) {
    const frame = new Uint8Array(bytes);
    const ratios: number[] = [];
    const times: [number, number][] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      // In turns, and each goes first as often as the other.
      const order = round % 2 === 0 ? [plain, secured] : [secured, plain];
      const first = await timeOf(order[0], frame, frames, inFlight);
      const second = await timeOf(order[1], frame, frames, inFlight);
      const [inClear, overTls] = round % 2 === 0 ? [first, second] : [second, first];
      // The first round warms up.
      if (round === 0) continue;
      ratios.push(overTls / inClear);
      times.push([inClear, overTls]);
    }
    results.push({
      inFlight,
      bytes,
      plainMicroseconds: Math.round(1_000 * median(times.map(([inClear]) => inClear))),
      tlsMicroseconds: Math.round(1_000 * median(times.map(([, overTls]) => overTls))),
      ratio: Number(median(ratios).toFixed(2)),
    });
  }
  plain.close();
  secured.close();
} finally {
  child.kill();
  await child.status;
}
if (Deno.args.includes("--json")) console.log(JSON.stringify(results));
else console.table(results);
const [{ ratio }] = results;
console.log(`A round trip over mutual TLS takes ${ratio} times that in the clear (goal: 1.5).`);
Deno.exit(ratio <= 1.5 ? 0 : 1);

/** Milliseconds a frame, with so many on their way at a time. */
async function timeOf(
  echo: Echo,
  frame: Uint8Array,
  frames: number,
  inFlight: number,
): Promise<number> {
  let left = frames;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await echo.send(frame);
  }));
  return (performance.now() - startedAt) / frames;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) return text.split("\n")[0];
  }
  throw new Error("The other process ended.");
}
