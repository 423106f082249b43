/** A gRPC server that answers some calls and then parts in ways that take bare Deno down. */

import { type Random, seededRandom } from "../../../src/base/random.ts";
import * as h2 from "./frames.ts";

/** What the server knows when it parts. */
interface Moment {
  /** The call that is not answered yet. */
  readonly stream: number;
  /** All calls that are not answered yet, streams included. */
  readonly open: readonly number[];
  readonly random: Random;
}

/** Ways to part in the middle of a call: the bytes that come in place of its answer. */
const IN_A_CALL = {
  "too many pings": ({ stream }) => h2.goaway(stream, 11, "too_many_pings"),
  "an error code, then the answer": ({ stream }) =>
    h2.join(h2.response(stream), h2.goaway(stream, 2), h2.message(stream), h2.trailers(stream)),
  "an error code and resets": ({ stream, open }) =>
    h2.join(h2.goaway(stream, 8), h2.ping(), ...open.map((id) => h2.reset(id, 8))),
  "nothing was taken": ({ stream }) => h2.join(h2.goaway(0), answerTo(stream), h2.ping()),
  "two in one segment": ({ stream }) =>
    h2.join(h2.goaway(h2.ANY_STREAM), h2.ping(), answerTo(stream), h2.goaway(stream), h2.ping()),
  "the last stream moves up": () => h2.join(h2.goaway(1), h2.goaway(h2.ANY_STREAM, 2)),
  "fifty of them": ({ stream }) => h2.join(...Array<Uint8Array>(50).fill(h2.goaway(stream))),
  "frames at random": (moment) => h2.join(...Array.from({ length: 12 }, () => anyFrame(moment))),
} satisfies Record<string, (moment: Moment) => Uint8Array>;

/** Ways to part when nothing is under way any more. */
const WHEN_IDLE = {
  "when idle": ({ stream }) => h2.goaway(stream),
  "when idle, with an error code": ({ stream }) => h2.goaway(stream, 11, "too_many_pings"),
} satisfies Record<string, (moment: Moment) => Uint8Array>;

/** Ways to part at once, right behind the greeting. */
const AT_THE_DOOR = {
  "behind the settings": () => h2.goaway(0),
  "behind the settings, with an error code": () => h2.goaway(0, 2),
} satisfies Record<string, () => Uint8Array>;

/** How a {@linkcode startRudeServer} can part. */
export type Rudeness = keyof typeof IN_A_CALL | keyof typeof WHEN_IDLE | keyof typeof AT_THE_DOOR;

/** All of them. */
export const RUDENESSES = [IN_A_CALL, WHEN_IDLE, AT_THE_DOOR].flatMap(Object.keys) as Rudeness[];

const answerTo = (stream: number) =>
  h2.join(h2.response(stream), h2.message(stream), h2.trailers(stream));

function anyFrame({ stream, open, random }: Moment): Uint8Array {
  const upTo = (limit: number) => Math.floor(random.next() * limit);
  const id = [0, 1, 2, stream, stream + 2, ...open][upTo(5 + open.length)];
  const makers = [
    () => h2.goaway(id, upTo(14)),
    () => h2.goaway(h2.ANY_STREAM),
    () => h2.response(id),
    () => h2.message(id),
    () => h2.trailers(id),
    () => answerTo(stream),
    () => h2.reset(id, upTo(14)),
    () => h2.windowUpdate(id, upTo(3)),
    () => h2.ping(),
    () => h2.settings(),
    () => h2.settingsAck(),
    () => h2.frame(upTo(12), upTo(256), id, random.fill(new Uint8Array(upTo(20)))),
  ];
  return makers[upTo(makers.length)]();
}

/** A server under way; disposing of it ends its connections. */
export interface RudeServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens on loopback; each connection is ended in the next of the ways, after some calls. */
export function startRudeServer(ways: readonly Rudeness[], seed: number): RudeServer {
  const random = seededRandom(seed);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Map<Deno.Conn, Promise<void>>();
  const serve = async (connection: Deno.Conn, way: Rudeness) => {
    try {
      await new RudeConnection(connection, way, random).serve();
    } catch {
      // The client, or the end of the test, has closed it.
    }
    if (connections.delete(connection)) connection.close();
  };
  const accept = async () => {
    let count = 0;
    for await (const connection of listener) {
      connections.set(connection, serve(connection, ways[count++ % ways.length]));
    }
  };
  const accepting = accept();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      const serving = [...connections.values()];
      for (const connection of connections.keys()) connection.close();
      connections.clear();
      await Promise.all([accepting, ...serving]);
    },
  };
}

class RudeConnection {
  readonly #connection: Deno.Conn;
  readonly #way: Rudeness;
  readonly #random: Random;
  readonly #open = new Set<number>();
  #callsBefore: number;

  constructor(connection: Deno.Conn, way: Rudeness, random: Random) {
    this.#connection = connection;
    this.#way = way;
    this.#random = random;
    this.#callsBefore = Math.floor(random.next() * 5);
  }

  async serve(): Promise<void> {
    if (this.#way in AT_THE_DOOR) {
      const parting = AT_THE_DOOR[this.#way as keyof typeof AT_THE_DOOR]();
      return await this.#part(h2.join(h2.settings(), parting));
    }
    await this.#write(h2.settings());
    for await (const { type, flags, stream } of readFrames(this.#connection)) {
      if (type === 4 && flags === 0) await this.#write(h2.settingsAck());
      if (type === 1) this.#open.add(stream);
      const complete = type <= 1 && (flags & 1) === 1;
      if (complete && await this.#answer(stream)) return;
    }
  }

  /** Whether that was the last answer. */
  async #answer(stream: number): Promise<boolean> {
    if (this.#callsBefore-- > 0) {
      await this.#write(answerTo(stream));
      this.#open.delete(stream);
      return false;
    }
    const moment = { stream, open: [...this.#open], random: this.#random };
    if (this.#way in WHEN_IDLE) {
      await this.#write(h2.join(...moment.open.map(answerTo)));
      await pause();
      await this.#part(WHEN_IDLE[this.#way as keyof typeof WHEN_IDLE](moment));
    } else {
      await this.#part(IN_A_CALL[this.#way as keyof typeof IN_A_CALL](moment));
    }
    return true;
  }

  async #part(bytes: Uint8Array): Promise<void> {
    await this.#write(bytes);
    // The client's reaction to the frames is what matters, not that to a closed connection.
    await pause();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 15));
}

/** The frames that a client sends behind its preface, without their payloads. */
async function* readFrames(
  connection: Deno.Conn,
): AsyncGenerator<{ type: number; flags: number; stream: number }> {
  let bytes: Uint8Array = new Uint8Array();
  let greeted = false;
  const buffer = new Uint8Array(65_536);
  for (let count = 0; (count = await connection.read(buffer) ?? 0) > 0;) {
    bytes = h2.join(bytes, buffer.subarray(0, count));
    if (!greeted && bytes.length >= h2.PREFACE.length) {
      bytes = bytes.subarray(h2.PREFACE.length);
      greeted = true;
    }
    while (greeted && bytes.length >= 9) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const length = view.getUint32(0) >>> 8;
      if (bytes.length < 9 + length) break;
      yield { type: bytes[3], flags: bytes[4], stream: view.getUint32(5) & h2.ANY_STREAM };
      bytes = bytes.subarray(9 + length);
    }
  }
}
