/** What every `DatagramTransport` must do, whatever it is made of. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import type {
  DatagramAddress,
  DatagramSocket,
  DatagramTransport,
} from "../../src/transport/datagram.ts";

/** A transport, and where to try it. */
export interface DatagramBed {
  readonly transport: DatagramTransport;
  /** An address of this machine, alone on its network. */
  readonly host: string;
  /** The address that reaches everybody on that network. */
  readonly broadcast: string;
  /** An address that is not this machine's. */
  readonly foreign: string;
  /** Waits until `check` holds, with real time or the test's own. */
  until(what: string, check: () => boolean): Promise<void>;
}

/** What one socket has heard. */
interface Heard {
  readonly texts: string[];
  readonly bytes: Uint8Array[];
  readonly from: DatagramAddress[];
}

const WILDCARD = "0.0.0.0";

/** Binds sockets and closes them when the test ends. */
class Sockets implements Disposable {
  readonly bed: DatagramBed;
  readonly #bound: DatagramSocket[] = [];

  constructor(bed: DatagramBed) {
    this.bed = bed;
  }

  async bind(
    address: Partial<DatagramAddress> = {},
    { shared = false, onHeard = (_socket: DatagramSocket) => {} } = {},
  ): Promise<{ socket: DatagramSocket; heard: Heard }> {
    const heard: Heard = { texts: [], bytes: [], from: [] };
    const socket: DatagramSocket = await this.bed.transport.bind(
      { host: this.bed.host, port: 0, ...address },
      { shared },
      (bytes, from) => {
        heard.texts.push(textOf(bytes));
        heard.bytes.push(new Uint8Array(bytes));
        heard.from.push(from);
        onHeard(socket);
      },
    );
    this.#bound.push(socket);
    return { socket, heard };
  }

  /** Waits long enough for all that was sent before to have arrived. */
  async settle(): Promise<void> {
    const [from, to] = [await this.bind(), await this.bind()];
    for (let round = 1; round <= 3; round++) {
      await from.socket.send(bytesOf("marker"), to.socket.address);
      await this.bed.until("a marker", () => to.heard.texts.length === round);
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#bound) socket.close();
  }
}

/** Registers the suite for one transport. */
export function testDatagramTransport(makeBed: () => DatagramBed, ignore = false): void {
  const { transport: { name } } = makeBed();
  const test = (what: string, fn: (sockets: Sockets, bed: DatagramBed) => Promise<void>) =>
    Deno.test({
      name: `${name}: ${what}`,
      ignore,
      async fn() {
        using sockets = new Sockets(makeBed());
        await fn(sockets, sockets.bed);
      },
    });

  test(
    "a datagram arrives as it was sent, and says where an answer reaches its sender",
    async (sockets, bed) => {
      const [a, b] = [await sockets.bind(), await sockets.bind()];
      await a.socket.send(bytesOf("question"), b.socket.address);
      await bed.until("the question", () => b.heard.texts.length > 0);
      assertEquals(b.heard.texts, ["question"]);
      assertEquals(b.heard.from, [a.socket.address]);

      await b.socket.send(bytesOf("answer"), b.heard.from[0]);
      await bed.until("the answer", () => a.heard.texts.length > 0);
      assertEquals(a.heard.texts, ["answer"]);
    },
  );

  test("port 0 lets the system choose, each time another one", async (sockets, bed) => {
    const [a, b] = [await sockets.bind(), await sockets.bind()];
    for (const { address } of [a.socket, b.socket]) {
      assertEquals(address.host, bed.host);
      assert(address.port > 0 && address.port < 65_536);
    }
    assertNotEquals(a.socket.address.port, b.socket.address.port);
  });

  test(
    "who sends may change the bytes at once: what is under way stays as it was",
    async (sockets, bed) => {
      const [a, b] = [await sockets.bind(), await sockets.bind()];
      const bytes = bytesOf("original");
      await a.socket.send(bytes, b.socket.address);
      bytes.fill(0x78);
      await bed.until("the datagram", () => b.heard.texts.length > 0);
      assertEquals(b.heard.texts, ["original"]);
    },
  );

  test("a broadcast reaches every socket that shares the port", async (sockets, bed) => {
    const first = await sockets.bind({ host: bed.broadcast }, { shared: true });
    const { port } = first.socket.address;
    const second = await sockets.bind({ host: bed.broadcast, port }, { shared: true });
    const third = await sockets.bind({ host: WILDCARD, port }, { shared: true });
    const sender = await sockets.bind();
    await sender.socket.send(bytesOf("all"), { host: bed.broadcast, port });
    for (const { heard } of [first, second, third]) {
      await bed.until("the broadcast", () => heard.texts.length > 0);
      assertEquals(heard.texts, ["all"]);
      assertEquals(heard.from, [sender.socket.address]);
    }
    assertEquals(sender.heard.texts, []);
  });

  test("a unicast to a shared port reaches one of those who share it", async (sockets, bed) => {
    const first = await sockets.bind({}, { shared: true });
    const { host, port } = first.socket.address;
    const second = await sockets.bind({ port }, { shared: true });
    const sender = await sockets.bind();
    await sender.socket.send(bytesOf("one"), { host, port });
    const all = () => [...first.heard.texts, ...second.heard.texts];
    await bed.until("the unicast", () => all().length > 0);
    await sockets.settle();
    assertEquals(all(), ["one"]);
  });

  test(
    "a socket on an address hears no broadcast, one on the wildcard both, one on the broadcast address nothing else",
    async (sockets, bed) => {
      const wildcard = await sockets.bind({ host: WILDCARD }, { shared: true });
      const { port } = wildcard.socket.address;
      const broadcast = await sockets.bind({ host: bed.broadcast, port }, { shared: true });
      const sender = await sockets.bind();
      await sender.socket.send(bytesOf("to all"), { host: bed.broadcast, port });
      await sender.socket.send(bytesOf("to one"), { host: bed.host, port });
      await bed.until("both", () => wildcard.heard.texts.length === 2);
      await bed.until("the broadcast", () => broadcast.heard.texts.length === 1);
      wildcard.socket.close();

      const own = await sockets.bind({ port }, { shared: true });
      await sender.socket.send(bytesOf("to all"), { host: bed.broadcast, port });
      await sender.socket.send(bytesOf("to one"), { host: bed.host, port });
      await bed.until("the unicast", () => own.heard.texts.length > 0);
      await sockets.settle();
      assertEquals(own.heard.texts, ["to one"]);
      assertEquals(broadcast.heard.texts, ["to all", "to all"]);
    },
  );

  test("a port is shared only when all say so", async (sockets) => {
    for (const [first, second] of [[false, false], [true, false], [false, true]]) {
      const { socket: { address: { port } } } = await sockets.bind({}, { shared: first });
      const error = await assertRejects(
        () => sockets.bind({ port }, { shared: second }),
        NetworkError,
      );
      assertEquals(error.code, "PORT_IN_USE");
    }
  });

  test("a port is free again soon after its socket was closed", async (sockets) => {
    const { socket } = await sockets.bind();
    const { port } = socket.address;
    socket.close();
    const bindAgain = () => sockets.bind({ port }).catch(() => undefined);
    let again = await bindAgain();
    // The system takes a moment.
    for (let i = 0; again === undefined && i < 50; i++) {
      await sockets.settle();
      again = await bindAgain();
    }
    assertEquals(again?.socket.address.port, port);
  });

  test("an address that is not this machine's cannot be bound", async (sockets, bed) => {
    await assertCode("UNAVAILABLE", () => sockets.bind({ host: bed.foreign }));
  });

  test("closing is idempotent, and nothing is delivered afterwards", async (sockets) => {
    const [sender, closed] = [await sockets.bind(), await sockets.bind()];
    const { address } = closed.socket;
    await sender.socket.send(bytesOf("under way"), address);
    closed.socket.close();
    closed.socket.close();
    await sender.socket.send(bytesOf("late"), address).catch(() => {});
    await sockets.settle();
    assertEquals(closed.heard.texts, []);
    assertEquals(closed.socket.address, address, "who closed it may still want to say where");
  });

  test("a socket closed by what another one heard delivers nothing more", async (sockets, bed) => {
    for (let round = 0; round < 20; round++) {
      const all: DatagramSocket[] = [];
      const closeAll = () => {
        for (const socket of all) socket.close();
      };
      const options = { shared: true, onHeard: closeAll };
      const first = await sockets.bind({ host: bed.broadcast }, options);
      const { port } = first.socket.address;
      const second = await sockets.bind({ host: bed.broadcast, port }, options);
      all.push(first.socket, second.socket);
      const sender = await sockets.bind();
      await sender.socket.send(bytesOf("1"), { host: bed.broadcast, port });
      await sender.socket.send(bytesOf("2"), { host: bed.broadcast, port });
      const heard = () => [...first.heard.texts, ...second.heard.texts];
      await bed.until("the first datagram", () => heard().length > 0);
      await sockets.settle();
      assertEquals(heard(), ["1"]);
      sender.socket.close();
    }
  });

  test("sending on a closed socket is an error, not a crash", async (sockets, bed) => {
    const { socket } = await sockets.bind();
    socket.close();
    await assertCode(
      "UNAVAILABLE",
      () => socket.send(bytesOf("late"), { host: bed.host, port: 9 }),
    );
  });

  test(
    "a datagram may be empty, and as long as IPv4 allows, and arrives whole",
    async (sockets, bed) => {
      const [a, b] = [await sockets.bind(), await sockets.bind()];
      const lengths = [0, 1, 1_472, 9_000, 65_507];
      for (const [i, length] of lengths.entries()) {
        const bytes = new Uint8Array(length).map((_, at) => at % 251);
        await a.socket.send(bytes, b.socket.address);
        await bed.until(`${length} bytes`, () => b.heard.bytes.length > i);
        assertEquals(b.heard.bytes[i], bytes);
      }
    },
  );

  test("a datagram that is too long is an error, and the socket goes on", async (sockets, bed) => {
    const [a, b] = [await sockets.bind(), await sockets.bind()];
    await assertCode("UNAVAILABLE", () => a.socket.send(new Uint8Array(65_508), b.socket.address));
    await a.socket.send(bytesOf("still here"), b.socket.address);
    await bed.until("the next datagram", () => b.heard.texts.length > 0);
    assertEquals(b.heard.texts, ["still here"]);
  });

  test(
    "what is sent to nobody is lost without a word, and the socket goes on hearing",
    async (sockets, bed) => {
      const [a, b] = [await sockets.bind(), await sockets.bind()];
      const { socket: { address: nobody }, socket } = await sockets.bind();
      socket.close();
      // The system may report the first one when the second is sent: that is no word about the second.
      for (let i = 0; i < 3; i++) await a.socket.send(bytesOf("lost"), nobody).catch(() => {});
      await b.socket.send(bytesOf("heard"), a.socket.address);
      await bed.until("a datagram after the lost ones", () => a.heard.texts.length > 0);
      assertEquals(a.heard.texts, ["heard"]);
    },
  );

  test("a thousand datagrams one after the other all arrive in order", async (sockets, bed) => {
    const [a, b] = [await sockets.bind(), await sockets.bind()];
    for (let i = 0; i < 1_000; i++) {
      await a.socket.send(bytesOf(`${i}`), b.socket.address);
      // The system's buffer holds some hundred of them.
      if (i % 50 === 49) await bed.until(`datagram ${i}`, () => b.heard.texts.length > i);
    }
    assertEquals(b.heard.texts, Array.from({ length: 1_000 }, (_, i) => `${i}`));
  });

  test("its interfaces name the address that the sockets are bound to", (_, bed) => {
    const one = bed.transport.interfaces().find(({ address }) => address === bed.host);
    assertEquals(one?.netmask, "255.0.0.0");
    return Promise.resolve();
  });
}

async function assertCode(code: ErrorCode, act: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(act, NetworkError);
  assertEquals(error.code, code);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
