/** gRPC clients that part from a server in ways that take bare Deno down. */

import { type Random, seededRandom } from "../../../src/base/random.ts";
import * as h2 from "./frames.ts";
import { ECHO_PATH, HOLD_PATH } from "./service.ts";

const hello = () => h2.join(h2.PREFACE, h2.settings());
const echo = (stream: number) => h2.join(h2.request(stream, ECHO_PATH), h2.message(stream, true));
const hold = (stream: number) => h2.join(h2.request(stream, HOLD_PATH), h2.message(stream));

/** What each kind of client sends: segments, with a pause behind each. */
const WAYS: Record<string, (random: Random) => Uint8Array[]> = {
  "politely, when idle": () => [h2.join(hello(), echo(1)), h2.goaway(0)],
  "with an error code": () => [h2.join(hello(), echo(1)), h2.join(h2.goaway(0, 2), h2.ping())],
  "with an error code, in a stream": () => [
    h2.join(hello(), echo(1), hold(3)),
    h2.join(h2.goaway(0, 2), h2.message(3), h2.ping()),
  ],
  "all in one segment": () => [
    h2.join(hello(), echo(1), hold(3), h2.goaway(0, 8), h2.message(3), h2.reset(3, 8)),
  ],
  "and goes on calling": () => [h2.join(hello(), echo(1), hold(3), h2.goaway(0), echo(5))],
  "frames at random": (random) => [
    h2.join(hello(), echo(1), hold(3)),
    ...Array.from(
      { length: 3 },
      () => h2.join(...Array.from({ length: 10 }, () => anyFrame(random))),
    ),
  ],
};

function anyFrame(random: Random): Uint8Array {
  const upTo = (limit: number) => Math.floor(random.next() * limit);
  const id = [0, 1, 2, 3, 5, 7][upTo(6)];
  const makers = [
    () => h2.goaway(id, upTo(14)),
    () => h2.goaway(h2.ANY_STREAM),
    () => h2.request(id, HOLD_PATH),
    () => echo(id),
    () => h2.message(id, upTo(2) === 1),
    () => h2.reset(id, upTo(14)),
    () => h2.windowUpdate(id, upTo(3)),
    () => h2.ping(),
    () => h2.settings(),
    () => h2.settingsAck(),
    () => h2.frame(upTo(12), upTo(256), id, random.fill(new Uint8Array(upTo(20)))),
  ];
  return makers[upTo(makers.length)]();
}

/** Connects to a server on loopback `rounds` times in each of the ways, one after the other. */
export async function partRudely(port: number, rounds: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round++) {
    for (const segments of Object.values(WAYS)) await connectAndPart(port, segments(random));
  }
}

async function connectAndPart(port: number, segments: readonly Uint8Array[]): Promise<void> {
  let connection: Deno.Conn | undefined;
  try {
    connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const drained = connection.readable.pipeTo(new WritableStream()).catch(() => {});
    const writer = connection.writable.getWriter();
    for (const segment of segments) {
      await writer.write(segment);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await writer.close();
    await drained;
  } catch {
    // The server may close first; one that is gone is noticed by whoever looks for it.
  }
}
