/**
 * A real node that may open 256 files and sockets, which is not much: whoever connects for nothing,
 * however often, takes away nothing that members need.
 */

import { assert, assertEquals, assertGreaterOrEqual, assertLess } from "@std/assert";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { createDistributedNetwork } from "../../src/network/create.ts";
import type { DistributedNetwork } from "../../src/network/distributed_network.ts";
import { decodeKeyring } from "../../src/security/keyring.ts";
import type { NetworkKey } from "../../src/security/network_key.ts";
import { HEALTH_PATH } from "../../tests/link/http2/frames.ts";
import { join, message, request } from "../../tests/link/goaway/frames.ts";
import { HELLO, RawConnection } from "../../tests/link/http2/raw_connection.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { memberOf } from "../../tests/support/members.ts";
import { freeUdpPort, ready, TestMachine } from "../../tests/support/nodes.ts";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const DESCRIPTORS = 256;
/** What a node has open when nobody attacks it is 36 or so. */
const AT_REST = 48;
const ATTACKERS = 400;
/** Calls that are enough to tell how they go. */
const SOME_CALLS = 100;
const MIB = 1024 * 1024;
/** How long a burst of new connections goes on. */
const BURST_MS = 10_000;

const ignore = skipUnless(Deno.build.os === "linux", "only Linux says what a process has open");

/** The first half of a ClientHello. */
const HALF_A_HELLO = new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
const HTTP = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

/** A node with few descriptors, and a member that keeps running an agent there. */
class Scene implements AsyncDisposable {
  readonly #directory: string;
  readonly #broadcastPort = freeUdpPort();
  readonly #isOpen: boolean;
  #node!: TestProcess;
  #member!: DistributedNetwork;
  #calls: Promise<void> = Promise.resolve();
  #isOver = false;
  port = 0;
  counts = { good: 0, bad: 0 };

  private constructor(directory: string, isOpen: boolean) {
    this.#directory = directory;
    this.#isOpen = isOpen;
  }

  static async open(directory: string, { isOpen = false, agents = [] as string[] } = {}) {
    const scene = new Scene(directory, isOpen);
    const machine = new TestMachine(directory, scene.#broadcastPort);
    const args = machine.upArgs(
      "few",
      ...agents.map((path) => `--agents=${path}`),
      ...(isOpen ? ["--open", "--open-accept-tasks"] : []),
    );
    const limited = `ulimit -Sn ${DESCRIPTORS}; ulimit -Hn ${DESCRIPTORS}; exec "$0" "$@"`;
    scene.#node = startProcess("bash", ["-c", limited, Deno.execPath(), ...args]);
    try {
      const { grpc } = await ready(scene.#node);
      scene.port = Number(new URL(`tcp://${grpc}`).port);
      scene.#member = await scene.join("member");
      scene.#calls = scene.#callOnAndOn();
    } catch (thrown) {
      await scene[Symbol.asyncDispose]();
      throw thrown;
    }
    return scene;
  }

  /** Files and sockets that the node has open. */
  get descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.#node.pid}/fd`)].length;
  }

  /** Its memory in bytes. */
  get rss(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#node.pid}/status`);
    return 1_024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  }

  /** Runs an agent on the node, from the member. */
  async run(agent: string, prompt: string, from = this.#member): Promise<string> {
    const options = { initialAgent: agent, nodeId: "few", timeoutMs: 5_000 };
    return (await from.run(prompt, options)).output;
  }

  /** A node of the same network. */
  async join(nodeId: string): Promise<DistributedNetwork> {
    const network = createDistributedNetwork({
      nodeId,
      dataDirectory: this.#directory,
      networkInterfaces: ["lo"],
      listenPort: 0,
      broadcastPort: this.#broadcastPort,
      ...(this.#isOpen ? { open: true } : {}),
    });
    await network.start({ waitForPeers: 1 });
    return network;
  }

  /**
   * The node takes a link that somebody else opens, and another node joins and runs an agent there,
   * whichever of the two opens theirs.
   */
  async assertJoins(nodeId: string): Promise<void> {
    await eventually(() => this.#knock(), { what: "a link to the node", timeoutMs: 10_000 });
    await using network = await this.join(nodeId);
    await eventually(async () => await this.run("calculator", "1+1", network) === "2", {
      what: `a run that ${nodeId} asks for`,
      timeoutMs: 10_000,
    });
  }

  /** Of the member's calls while `attack` goes on at least 99 in a hundred are good. */
  async assertServedDuring(attack: () => Promise<unknown>, what: string): Promise<void> {
    this.counts = { good: 0, bad: 0 };
    await attack();
    const { good, bad } = this.counts;
    assertGreaterOrEqual(good / (good + bad), 0.99, `good of ${good + bad} calls during ${what}`);
  }

  /** Waits until enough calls were good since the counts began. */
  async someCalls(count = SOME_CALLS): Promise<void> {
    await eventually(() => this.counts.good >= count, {
      what: `${count} calls`,
      timeoutMs: 15_000,
    });
  }

  /** All calls are good, and the node has no more open than before. */
  async assertRecovers(what: string): Promise<void> {
    await eventually(() => this.descriptors <= AT_REST, { what: `few descriptors after ${what}` });
    this.counts = { good: 0, bad: 0 };
    await this.someCalls();
    assertEquals(this.counts.bad, 0, what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#calls;
    await this.#member?.stop();
    await this.#node[Symbol.asyncDispose]();
  }

  /** Opens the stream of a link, and gives it up. */
  async #knock(): Promise<boolean> {
    const security = this.#isOpen ? undefined : await memberOf(await this.#key(), "knocker");
    const address = { host: "127.0.0.1", port: this.port };
    const stream = await grpcTransport({ security }).dial(address, AbortSignal.timeout(2_000));
    stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
    stream.reset();
    return true;
  }

  async #key(): Promise<NetworkKey> {
    const ring = decodeKeyring(await Deno.readFile(`${this.#directory}/keyring.json`));
    return ring.keys[0].key;
  }

  async #callOnAndOn(): Promise<void> {
    while (!this.#isOver) {
      try {
        assertEquals(await this.run("calculator", "6*7"), "42");
        this.counts.good++;
      } catch {
        this.counts.bad++;
      }
      // The test itself has other things to do.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** So many connections, each with these first words. */
async function connect(port: number, count: number, words?: Uint8Array): Promise<RawConnection[]> {
  const connections: RawConnection[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await RawConnection.open(port);
    connections.push(connection);
    if (words !== undefined) await connection.write(words);
  }
  return connections;
}

function close(connections: readonly RawConnection[]): void {
  for (const connection of connections) connection[Symbol.dispose]();
}

Deno.test({
  name: "400 strangers of every kind at 256 descriptors: members are served, and new ones come in",
  ignore,
  async fn() {
    await withTempDir(async (directory) => {
      await using scene = await Scene.open(directory);
      const { rss } = scene;
      const kinds = { silent: undefined, "half a hello": HALF_A_HELLO, "no TLS": HTTP };
      for (const [kind, words] of Object.entries(kinds)) {
        let strangers: RawConnection[] = [];
        await scene.assertServedDuring(async () => {
          strangers = await connect(scene.port, ATTACKERS, words);
          // Those that come in one turn are let in before the oldest are let go.
          await eventually(() => scene.descriptors < DESCRIPTORS - 64, {
            what: "descriptors to spare",
            timeoutMs: 1_000,
          });
          await scene.assertJoins("joins-during");
          await eventually(() => strangers.every(({ isOver }) => isOver), {
            what: `the end of all strangers: ${kind}`,
          });
        }, kind);
        close(strangers);
        await scene.assertRecovers(kind);
      }

      const until = performance.now() + BURST_MS;
      let count = 0;
      const knockOnAndOn = async () => {
        while (performance.now() < until) {
          close(await connect(scene.port, 1, [undefined, HALF_A_HELLO, HTTP][count++ % 3]));
          await new Promise((resolve) => setTimeout(resolve, 3));
        }
      };
      await scene.assertServedDuring(async () => {
        const burst = Promise.all(Array.from({ length: 16 }, knockOnAndOn));
        await scene.assertJoins("joins-during");
        await burst;
      }, "a burst");
      await scene.assertRecovers(`a burst of ${count}`);
      await scene.assertJoins("joins-after");
      assertLess((scene.rss - rss) / MIB, 250, `MiB more after ${count} connections`);
    });
  },
});

Deno.test({
  name: "in the clear, 400 clients that stay for ever at 256 descriptors keep nobody out",
  ignore,
  async fn() {
    await withTempDir(async (directory) => {
      await using scene = await Scene.open(directory, { isOpen: true });
      // One call each, which is all that it takes to be no stranger there.
      const words = join(HELLO, request(1, HEALTH_PATH), message(1, true));
      let clients: RawConnection[] = [];
      await scene.assertServedDuring(async () => {
        clients = await connect(scene.port, ATTACKERS, words);
        await scene.assertJoins("joins-during");
        await scene.someCalls();
        await eventually(() => scene.descriptors < DESCRIPTORS - 64, {
          what: "descriptors to spare",
          timeoutMs: 1_000,
        });
      }, "clients");
      close(clients);
      await scene.assertRecovers("clients");
    });
  },
});

const HOARDER = `
const files = [];
export default createAgent({
  name: "hoarder",
  description: "Opens all files that it can, or closes them",
  run: ({ prompt }) => {
    if (prompt === "let go") for (const file of files.splice(0)) file.close();
    else try { for (;;) files.push(Deno.openSync("/dev/null")); } catch {}
    return "done";
  },
});`;

Deno.test({
  name: "a node that has had no descriptors left takes links again as soon as it has some",
  ignore,
  async fn() {
    await withTempDir(async (directory) => {
      const agents = `${directory}/hoarder.ts`;
      const face = JSON.stringify(new URL("../../mod.ts", import.meta.url));
      await Deno.writeTextFile(agents, `import { createAgent } from ${face};${HOARDER}`);
      await using scene = await Scene.open(directory, { agents: [agents] });
      // The calculator has its thread then: Deno 2.9.6 panics when it starts one without any left.
      await scene.someCalls();
      await scene.run("hoarder", "take all");
      // The strangers get what is left then: with one more Deno's listener takes nobody any more.
      assertGreaterOrEqual(scene.descriptors, DESCRIPTORS - 10);
      await scene.assertServedDuring(async () => {
        const strangers = await connect(scene.port, 20);
        // Long enough for all that a node does now and then.
        await scene.someCalls(4 * SOME_CALLS);
        assert(strangers.some(({ isOver }) => !isOver), "nobody took the last ones");
        close(strangers);
      }, "exhaustion");
      await scene.run("hoarder", "let go");
      await scene.assertJoins("joins-after");
      await scene.assertRecovers("exhaustion");
    });
  },
});
