/** An open node beside peers of other programs: each lists the other, and nobody is given work. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { NetworkStatus } from "../../src/network/status.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { freeUdpPort, ready, TestMachine } from "../../tests/support/nodes.ts";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import { findPythonWithGrpc } from "../../tests/support/python.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const python = await findPythonWithGrpc();
const ignore = skipUnless(
  python !== undefined,
  "no Python with grpcio: apt-get install python3-grpcio",
);
const SCRIPT = fileURLToPath(new URL("../../tests/support/foreign_peer.py", import.meta.url));

function foreignPeer(kind: string, nodeId: string, port: number): TestProcess {
  return startProcess(python!, [
    SCRIPT,
    "peer",
    kind,
    nodeId,
    "127.255.255.255",
    `${port}`,
    `${port}`,
  ]);
}

Deno.test({
  name: "an open node and existing peers list each other, and pass each other's health check",
  ignore,
  async fn() {
    await withTempDir(async (directory) => {
      const port = freeUdpPort();
      const machine = new TestMachine(directory, port);
      await using a = machine.up("A", "--open");
      await ready(a);
      await using exo = foreignPeer("exo", "3f0c1a52-exo", port);
      await using hanzo = foreignPeer("hanzo-network", "node-1a2b3c4d", port);
      for (const peer of [exo, hanzo]) {
        const line = await peer.waitForLine((line) => line.includes('"listed"'), {
          what: "our node",
        });
        assertStringIncludes(line, '"nodeId": "A"');
      }
      let status!: NetworkStatus;
      const kinds = () =>
        Object.values(status.peers).map(({ kind, state, healthy }) =>
          `${kind} ${state} ${healthy}`
        );
      await eventually(async () => {
        status = await machine.askJson<NetworkStatus>("A", "status");
        return kinds().includes("exo alive false") && status.peers["node-1a2b3c4d"] !== undefined;
      }, { what: "both in the status" });
      assertEquals(kinds().sort(), ["exo alive false", "hanzo-network discovered false"]);
      assertEquals(status.peerCount, 0);
      assertEquals(status.peers["3f0c1a52-exo"].capabilities?.memory, 24_105);
      const { nodeId } = await machine.askJson<{ nodeId: string }>(
        "A",
        "run",
        "1+1",
        "--agent",
        "calculator",
      );
      assertEquals(nodeId, "A", "they are never given work");
    });
  },
});

Deno.test({
  name: "a node that is not open neither shows itself to existing peers nor lists them",
  ignore,
  async fn() {
    await withTempDir(async (directory) => {
      const port = freeUdpPort();
      const machine = new TestMachine(directory, port);
      await using a = machine.up("A");
      await ready(a);
      await using exo = foreignPeer("exo", "stranger", port);
      await exo.waitForLine((line) => line.includes('"ready"'), { what: "the peer" });
      await using _b = machine.up("B");
      await a.waitForLine((line) => line.includes('"peer-joined"'), { what: "our own peer" });
      assertEquals(Object.keys((await machine.askJson<NetworkStatus>("A", "status")).peers), ["B"]);
      exo.kill();
      await exo.status;
      const lines = await Array.fromAsync(exo.lines());
      assertEquals(lines.filter((line) => line.includes("listed")), []);
    });
  },
});
