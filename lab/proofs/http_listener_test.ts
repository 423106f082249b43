/** What other programs of this machine cannot do to the API of a node: keep it from answering. */

import { assert, assertEquals } from "@std/assert";
import { type RunningNode, runningNodes } from "../../src/network/data_directory.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HttpClient, HttpCrowd } from "../../tests/support/http_client.ts";
import { peerEvent, ready, TestMachine } from "../../tests/support/nodes.ts";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const ignore = skipUnless(Deno.build.os !== "windows", "Windows has no ulimit");

const FLOOD = new URL("../../tests/support/http_flood.ts", import.meta.url).pathname;

/** Far more than a node with so few file descriptors can hold. */
const CROWD = 400;
/** What a node has them for at rest, and then some. */
const DESCRIPTORS = 256;
/** So few that they run out before any bound is reached. */
const FEW_DESCRIPTORS = 72;

/** Clients that behave, while others do not. */
class Honest {
  readonly port: number;
  readonly #request: string;
  /** The longest that an answer has taken, in milliseconds. */
  slowest = 0;
  failures: string[] = [];

  constructor({ api, token }: RunningNode) {
    this.port = Number(new URL(api).port);
    this.#request = [
      "GET /control/v1/agents HTTP/1.1",
      `Host: 127.0.0.1:${this.port}`,
      `Authorization: Bearer ${token}`,
      "",
      "",
    ].join("\r\n");
  }

  /** Asks on a connection that it keeps. */
  async ask(client: HttpClient): Promise<void> {
    await client.send(this.#request);
    const { status, body } = await client.answer();
    assertEquals(status, 200, body);
  }

  /** Connects and asks, so many times, and notes what came of it. */
  async askAnew(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const before = performance.now();
      try {
        using client = await HttpClient.connect(this.port);
        await this.ask(client);
      } catch (thrown) {
        this.failures.push(`${thrown}`);
      }
      this.slowest = Math.max(this.slowest, performance.now() - before);
    }
  }
}

interface Rig {
  readonly node: TestProcess;
  readonly machine: TestMachine;
  readonly honest: Honest;
}

/** A node that may open no more than so many files. */
async function withNode(descriptors: number, use: (rig: Rig) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const limited = `ulimit -Sn ${descriptors}; ulimit -Hn ${descriptors}; exec "$@"`;
    await using node = startProcess("sh", [
      "-c",
      limited,
      "sh",
      Deno.execPath(),
      ...machine.upArgs("A"),
    ]);
    await ready(node);
    const [running] = await runningNodes(directory);
    await use({ node, machine, honest: new Honest(running) });
  });
}

const CROWDS: Record<string, (port: number) => string> = {
  "idle connections": () => "",
  "half-sent heads": () => "GET /control/v1/status HTTP/1.1\r\nHo",
  "half-sent bodies": (port) =>
    `POST /control/v1/run HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 99\r\n\r\n{`,
};

for (const [what, said] of Object.entries(CROWDS)) {
  Deno.test({
    name: `${CROWD} ${what} keep nobody from a node with ${DESCRIPTORS} file descriptors`,
    ignore,
    async fn() {
      await withNode(DESCRIPTORS, async ({ node, machine, honest }) => {
        using kept = await HttpClient.connect(honest.port);
        await honest.ask(kept);
        {
          await using crowd = new HttpCrowd(honest.port, said(honest.port));
          for (let round = 0; round < 10; round++) {
            await crowd.fill(CROWD);
            await honest.askAnew(10);
            for (let i = 0; i < 10; i++) await honest.ask(kept);
          }
          assert(honest.failures.length <= 1, honest.failures.join("\n"));
          assert(honest.slowest < 1_500, `the slowest answer took ${honest.slowest} ms`);
          // Its other listener needs descriptors, too.
          await crowd.fill(CROWD);
          await using other = machine.up("B");
          await ready(other);
          await peerEvent(node, "peer-joined", "B");
        }
        honest.failures = [];
        await honest.askAnew(20);
        await honest.ask(kept);
        assertEquals(honest.failures, []);
      });
    },
  });
}

Deno.test({
  name: "a node that runs out of file descriptors says so, goes on, and recovers",
  ignore,
  async fn() {
    await withNode(FEW_DESCRIPTORS, async ({ node, honest }) => {
      using kept = await HttpClient.connect(honest.port);
      await honest.ask(kept);
      {
        await using crowd = new HttpCrowd(honest.port, "");
        await crowd.fill(CROWD);
        await eventually(() => node.stderrText().includes("no file descriptors were left"), {
          what: "a line of the log that says so",
        });
        for (let round = 0; round < 5; round++) {
          await crowd.fill(CROWD);
          await honest.askAnew(10);
        }
        assert(honest.failures.length <= 1, honest.failures.join("\n"));
        assert(honest.slowest < 1_500, `the slowest answer took ${honest.slowest} ms`);
      }
      honest.failures = [];
      await honest.askAnew(20);
      assertEquals(honest.failures, []);
    });
  },
});

Deno.test({
  name: "a flood of requests without the token delays those with it, and refuses them nothing",
  ignore,
  async fn() {
    await withNode(DESCRIPTORS, async ({ node, honest }) => {
      const rss = residentBytes(node);
      using kept = await HttpClient.connect(honest.port);
      await honest.ask(kept);
      {
        await using flood = startProcess(Deno.execPath(), [
          "run",
          "--quiet",
          "--allow-net=127.0.0.1",
          FLOOD,
          `${honest.port}`,
        ]);
        await flood.waitForLine((line) => line === "under way", { what: "the flood" });
        for (let i = 0; i < 50; i++) {
          await honest.askAnew(1);
          await honest.ask(kept);
        }
      }
      assert(honest.failures.length <= 1, honest.failures.join("\n"));
      assert(honest.slowest < 1_500, `the slowest answer took ${honest.slowest} ms`);
      const grown = residentBytes(node) - rss;
      assert(grown < 200 * 1024 * 1024, `it has grown by ${grown} bytes`);
      const logged = node.stderrText().match(/"reason":"not-admitted"/g)?.length;
      assertEquals(logged, 1, "it has not logged each");
    });
  },
});

/** The memory of a process; 0 where the system does not tell. */
function residentBytes({ pid }: TestProcess): number {
  if (Deno.build.os !== "linux") return 0;
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}
