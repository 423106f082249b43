/** A port on which connections go on coming in, whatever becomes of Node's listeners. */

import { assertEquals, assertRejects } from "@std/assert";
import net from "node:net";
import { NetworkError } from "../../src/base/errors.ts";
import {
  LastingListener,
  type LastingListenerOptions,
} from "../../src/transport/lasting_listener.ts";
import { eventually } from "../support/eventually.ts";
import { WatchedClock } from "../support/watched_clock.ts";

/** A listener whose servers say a word to everybody, and are the test's to break. */
class Rig implements Disposable {
  readonly clock = new WatchedClock();
  readonly servers: net.Server[] = [];
  readonly backlogs: (number | undefined)[] = [];
  starved = 0;
  listener!: LastingListener;

  static async listen(options: Partial<LastingListenerOptions> = {}): Promise<Rig> {
    const rig = new Rig();
    rig.listener = await LastingListener.listen({
      host: "127.0.0.1",
      port: 0,
      backlog: 100,
      clock: rig.clock,
      action: "Cannot listen",
      portOption: "--a-port",
      createServer: () => rig.#createServer(),
      onStarved: () => rig.starved++,
      ...options,
    });
    return rig;
  }

  get port(): number {
    return this.listener.port;
  }

  /** What somebody hears who connects. */
  async hear(): Promise<string> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    return await new Response(conn.readable).text().catch(() => "");
  }

  /** Moves time on, and leaves the system the time to keep up. */
  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 500; i++) await this.clock.advance(2);
  }

  /** Moves time on until somebody hears that. */
  async untilHeard(word: RegExp): Promise<void> {
    await eventually(async () => {
      await this.pass(1);
      return word.test(await this.hear());
    }, { what: `${word}`, timeoutMs: 30_000 });
  }

  [Symbol.dispose](): void {
    this.listener.close();
  }

  #createServer(): net.Server {
    const number = this.servers.length;
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.end(`server ${number}`);
    });
    const { listen } = server;
    server.listen = ((options: net.ListenOptions, ...rest: []) => {
      this.backlogs.push(options.backlog);
      return listen.call(server, options, ...rest);
    }) as typeof listen;
    this.servers.push(server);
    return server;
  }
}

/** As after running out of descriptors: the system still accepts, and nobody is told. */
function deafen(server: net.Server): void {
  server.removeAllListeners("connection").on("connection", (socket) => socket.destroy());
}

Deno.test("a listener that works is left alone, however often it is looked at", async () => {
  using rig = await Rig.listen();
  let looks = 0;
  rig.servers[0].on("connection", () => looks++);
  await rig.pass(11);
  assertEquals([looks, rig.clock.pending], [5, 1]);
  assertEquals([rig.servers.length, rig.starved], [1, 0]);
  assertEquals(await rig.hear(), "server 0");
});

Deno.test("one that takes nothing any more is found out and replaced, on the same port", async () => {
  using rig = await Rig.listen();
  const { port } = rig;
  deafen(rig.servers[0]);
  assertEquals(await rig.hear(), "");
  await rig.untilHeard(/server 1/);
  assertEquals([rig.port, rig.servers[0].listening], [port, false]);
});

Deno.test("few may wait at the one that replaces it, until a minute has gone well", async () => {
  using rig = await Rig.listen();
  deafen(rig.servers[0]);
  await rig.untilHeard(/server 1/);
  await rig.pass(50);
  assertEquals(rig.backlogs, [100, 8]);
  await rig.untilHeard(/server 2/);
  await rig.pass(100);
  assertEquals(rig.backlogs, [100, 8, 100]);
});

Deno.test("one that is gone altogether is replaced, too", async () => {
  using rig = await Rig.listen();
  await new Promise((resolve) => rig.servers[0].close(resolve));
  await assertRejects(() => rig.hear());
  await rig.untilHeard(/server/);
});

Deno.test("a port that somebody else took meanwhile is tried again until it is free", async () => {
  using rig = await Rig.listen();
  await new Promise((resolve) => rig.servers[0].close(resolve));
  {
    using other = Deno.listen({ hostname: "127.0.0.1", port: rig.port });
    const connecting = (async () => {
      for await (const connection of other) connection.close();
    })();
    for (let i = 0; i < 6; i++) {
      await rig.pass(1);
      (await Deno.connect({ hostname: "127.0.0.1", port: rig.port })).close();
    }
    other.close();
    await connecting.catch(() => {});
  }
  await rig.untilHeard(/server/);
});

Deno.test("closing leaves no timer and no listener, at whatever moment", async () => {
  for (const moment of ["at once", "while it looks", "when it has listened anew"]) {
    const rig = await Rig.listen();
    if (moment !== "at once") await rig.clock.advance(2_000);
    if (moment === "when it has listened anew") {
      deafen(rig.servers[0]);
      await eventually(async () => {
        await rig.pass(1);
        return rig.servers.length > 1;
      }, { what: "the end of the look" });
    }
    rig.listener.close();
    rig.listener.close();
    assertEquals(rig.clock.pending, 0, moment);
    await eventually(() => rig.hear().then(() => false, () => true), { what: "a free port" });
  }
});

Deno.test("a port that is taken is PORT_IN_USE, and the message names the option", async () => {
  using rig = await Rig.listen();
  const error = await assertRejects(() => Rig.listen({ port: rig.port }), NetworkError);
  assertEquals(error.code, "PORT_IN_USE");
  assertEquals(
    error.message,
    `Cannot listen on 127.0.0.1:${rig.port}: the port is taken. Choose another with --a-port.`,
  );
});

Deno.test({
  name: "without Deno's permission to listen the error names the flag",
  permissions: { net: false },
  async fn() {
    const error = await assertRejects(() => Rig.listen(), NetworkError);
    assertEquals(error.code, "PERMISSION_DENIED");
    assertEquals(
      error.message,
      "Cannot listen on 127.0.0.1:0: not permitted. Grant --allow-net=127.0.0.1:0.",
    );
  },
});

Deno.test({
  name: "without permission to dial itself it listens all the same",
  permissions: { net: ["127.0.0.1:0"] },
  async fn() {
    using rig = await Rig.listen();
    await rig.clock.advance(60_000);
    assertEquals(rig.servers.length, 1);
  },
});
