/**
 * One who reads slowly, or not at all, on a link that others use as well: their runs take no longer,
 * and neither process fills up with what is not read.
 */

import { assert, assertEquals } from "@std/assert";
import { eventually } from "../../tests/support/eventually.ts";
import { HttpClient } from "../../tests/support/http_client.ts";
import { LocalNode } from "../../tests/support/local_node.ts";
import { ready, TestMachine } from "../../tests/support/nodes.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const AGENTS = new URL("./flow_agents.ts", import.meta.url).pathname;
const MEASURED_MS = 1_500;
const CONCURRENCY = 8;
/** Of a run beside a slow reader, in parts of one without. */
const MOST_RATIO = 2;
/** What a process may grow by, and what one task may have said that nobody has read. */
const MOST_GROWTH_MIB = 192;
const MOST_UNREAD = 4 * 2 ** 20;
/** What the kernel keeps for a client of HTTP that does not read. */
const SOCKET_BUFFERS = 16 * 2 ** 20;

/** A node in this process, and one in another that talks. */
class Rig {
  readonly node: LocalNode;
  readonly #pid: number;

  constructor(node: LocalNode, pid: number) {
    this.node = node;
    this.#pid = pid;
  }

  run(agent: string, prompt = ""): Promise<string> {
    return this.node.network.run(prompt, { initialAgent: agent, nodeId: "talker" })
      .then(({ output }) => output);
  }

  async flooded(): Promise<{ emitted: number; running: number }> {
    return JSON.parse(await this.run("flooded"));
  }

  /** Median in milliseconds, and runs a second. */
  async echoes(): Promise<{ p50: number; perSecond: number }> {
    const times: number[] = [];
    const begun = performance.now();
    await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
      while (performance.now() - begun < MEASURED_MS) {
        const asked = performance.now();
        await this.run("echo", "hello");
        times.push(performance.now() - asked);
      }
    }));
    const p50 = times.toSorted((a, b) => a - b)[times.length >> 1];
    return { p50, perSecond: times.length / MEASURED_MS * 1_000 };
  }

  /** Resident, of this process and of the one that talks, in MiB. */
  memory(): number[] {
    return [Deno.pid, this.#pid].map((pid) => {
      const [, pages] = Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ");
      return Number(pages) * 4_096 / 2 ** 20;
    });
  }

  /** What holds while `slow` goes on, against what was before. */
  async beside(slow: { begin(): Promise<void>; end(): Promise<void> }, mostUnread: number) {
    await this.echoes();
    const before = await this.echoes();
    const memoryBefore = this.memory();
    const saidBefore = (await this.flooded()).emitted;
    await slow.begin();
    await this.echoes();
    const beside = await this.echoes();
    const memory = this.memory();
    const { emitted, running } = await this.flooded();
    assertEquals(running, 1, "it still goes on");
    const unread = emitted - saidBefore;
    const growth = memory.map((mib, i) => Math.round(mib - memoryBefore[i]));
    const ratio = beside.p50 / before.p50;
    console.log(
      `beside: ${beside.p50.toFixed(2)} ms for ${before.p50.toFixed(2)}, ` +
        `${Math.round(beside.perSecond)}/s for ${Math.round(before.perSecond)}; ` +
        `${(unread / 2 ** 20).toFixed(2)} MiB said, memory ${growth} MiB more`,
    );
    assert(unread > 0 && unread < mostUnread, `${unread} bytes were said`);
    assert(ratio < MOST_RATIO, `a run takes ${ratio} times as long`);
    assert(beside.perSecond > before.perSecond / MOST_RATIO, `${beside.perSecond} a second`);
    assert(growth.every((mib) => mib < MOST_GROWTH_MIB), `memory grew by ${growth} MiB`);
    await slow.end();
    await eventually(async () => (await this.flooded()).running === 0, { what: "its end" });
  }
}

function flowTest(name: string, test: (rig: Rig) => Promise<void>): void {
  Deno.test(name, () =>
    withTempDir(async (dataDirectory) => {
      const machine = new TestMachine(dataDirectory);
      await using talker = machine.up("talker", "--slots=16", `--agents=${AGENTS}`);
      await ready(talker);
      const { broadcastPort } = machine;
      await using node = await LocalNode.start({ nodeId: "caller", dataDirectory, broadcastPort });
      const knows = () => node.network.agents().some(({ agent }) => agent.name === "echo");
      await eventually(knows, { what: "the talker's agents" });
      await test(new Rig(node, talker.pid));
    }));
}

flowTest("who reads one piece a second keeps nobody waiting, and fills no memory", async (rig) => {
  const stream = rig.node.network.stream("16384", { initialAgent: "flood", nodeId: "talker" });
  let reading: Promise<void>;
  let isOver = false;
  let pieces = 0;
  const slow = {
    async begin(): Promise<void> {
      for await (const { type } of take(stream, 2)) assert(type === "routed" || type === "started");
      reading = (async () => {
        while (!isOver) {
          const { value } = await stream.next();
          assertEquals(value?.type, "token");
          pieces++;
          await new Promise((resolve) => setTimeout(resolve, 1_000));
        }
      })();
    },
    async end() {
      isOver = true;
      await reading;
      await stream.return();
    },
  };
  await rig.beside(slow, MOST_UNREAD);
  assert(pieces >= 2, `${pieces} pieces`);
});

flowTest("who stops reading a stream keeps nobody waiting, and fills no memory", async (rig) => {
  const options = { initialAgent: "flood", nodeId: "talker" };
  const stream = rig.node.network.stream(`${2 ** 20}`, options);
  const slow = {
    begin: async () => void await stream.next(),
    end: () => stream.return().then(() => {}),
  };
  await rig.beside(slow, MOST_UNREAD);
});

flowTest(
  "a client of the API that stops reading keeps nobody waiting, and its end ends the task",
  async (rig) => {
    const { gateway, token } = rig.node;
    const { port } = new URL(gateway.url);
    const body = JSON.stringify({ prompt: "16384", agent: "flood", node: "talker" });
    let client: HttpClient;
    const slow = {
      async begin(): Promise<void> {
        client = await HttpClient.connect(Number(port));
        await client.send(
          `POST /control/v1/run HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n` +
            `authorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
            `content-length: ${body.length}\r\n\r\n${body}`,
        );
        await client.until('"routed"');
      },
      end() {
        client.close();
        return Promise.resolve();
      },
    };
    await rig.beside(slow, MOST_UNREAD + SOCKET_BUFFERS);
  },
);

/** The first few, without ending the iteration. */
async function* take<T>(values: AsyncIterator<T>, count: number): AsyncGenerator<T> {
  for (let i = 0; i < count; i++) {
    const { done, value } = await values.next();
    if (done) return;
    yield value;
  }
}
