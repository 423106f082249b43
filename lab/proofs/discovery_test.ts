/** Ways of finding nodes other than beacons, and the doctor, through the command line. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Finding } from "../../src/network/diagnosis_facts.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { peerEvent, ready, shareNetwork, TestMachine } from "../../tests/support/nodes.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

/** The port where a node accepts links, from its first line. */
async function grpcOf(node: Parameters<typeof ready>[0]): Promise<string> {
  const line = await node.waitForLine((line) => line.includes('"ready"'), { what: "ready" });
  return JSON.parse(line).grpc;
}

Deno.test("nodes with nothing in common but a file find each other, also when it changes", async () => {
  await withTempDir(async (directory) => {
    // Each has a data directory and a port for beacons of its own.
    const directories = ["a", "b", "c"].map((name) => `${directory}/${name}`);
    await shareNetwork(...directories);
    const [a, b, c] = directories.map((one) => new TestMachine(one));
    const file = `${directory}/peers.toml`;
    const entry = (name: string, grpc: string) => {
      const [address, port] = grpc.split(":");
      return `[peers.${name}]\naddress = "${address}"\nport = ${port}\n`;
    };
    await using nodeB = b.up("B");
    await using nodeC = c.up("C");
    const atB = await grpcOf(nodeB);
    await Deno.writeTextFile(file, entry("B", atB));
    await using nodeA = a.up("A", `--config=${file}`);
    await peerEvent(nodeA, "peer-joined", "B");
    await Deno.writeTextFile(file, "[peers.B\n");
    await eventually(() => nodeA.stderrText().includes("line 1"), { what: "the fault's place" });
    await Deno.writeTextFile(file, entry("B", atB) + entry("C", await grpcOf(nodeC)));
    await peerEvent(nodeA, "peer-joined", "C");
    const { peers } = await a.askJson<NetworkStatus>("A", "status");
    assertEquals(Object.values(peers).map(({ nodeId, via }) => `${nodeId} ${via}`).sort(), [
      "B manual",
      "C manual",
    ]);
  });
});

Deno.test("nodes that share a data directory meet where no beacon does", async () => {
  await withTempDir(async (directory) => {
    // Else the first one to start would name the network.
    await shareNetwork(directory);
    const [one, other] = [new TestMachine(directory), new TestMachine(directory)];
    await using a = one.up("A");
    await using c = other.up("C", "--name=another");
    await using b = other.up("B");
    await Promise.all([ready(a), ready(b), ready(c)]);
    await peerEvent(a, "peer-joined", "B");
    const { peers, unreached } = await one.askJson<NetworkStatus>("A", "status");
    assertEquals(
      [Object.keys(peers), unreached],
      [["B"], []],
      "one of another network is left alone",
    );
  });
});

Deno.test({
  name: "devices of the tailnet are listed as soon as the command tells of them",
  ignore: skipUnless(Deno.build.os !== "windows", "the stand-in is a shell script"),
  async fn() {
    await withTempDir(async (directory) => {
      const command = `${directory}/tailscale`;
      const status = {
        BackendState: "Running",
        Self: { HostName: "here", TailscaleIPs: ["100.64.0.1"], Online: true },
        Peer: {
          key: {
            HostName: "gpu",
            DNSName: "gpu.tail.ts.net.",
            TailscaleIPs: ["100.64.0.2"],
            OS: "linux",
            Online: true,
          },
        },
      };
      await Deno.writeTextFile(`${directory}/status.json`, JSON.stringify(status));
      await Deno.writeTextFile(command, `#!/bin/sh\ncat '${directory}/status.json'\n`, {
        mode: 0o755,
      });
      const machine = new TestMachine(directory);
      await using a = machine.up("A", "--discovery=udp,tailscale", `--tailscale=${command}`);
      await ready(a);
      let unreached: NetworkStatus["unreached"] = [];
      await eventually(async () => {
        ({ unreached } = await machine.askJson<NetworkStatus>("A", "status"));
        return unreached.some(({ problem }) => problem !== null);
      }, { what: "the device of the tailnet" });
      const [{ address, via, problem }] = unreached;
      assertEquals([address, via], ["gpu.tail.ts.net:5681", "tailscale"]);
      // This node is not open, so it talks to nobody there.
      assertStringIncludes(problem!, "outside what this node may talk to");

      // With a token of the API its port is known, and this device's own is told.
      const written: string[] = [];
      await using api = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
        const { pathname } = new URL(request.url);
        if (request.headers.get("authorization") !== "Bearer tskey-e2e") {
          return Response.json({ message: "who?" }, { status: 401 });
        }
        if (request.method === "POST") {
          written.push(pathname);
          return Response.json({});
        }
        if (pathname.endsWith("/devices")) {
          return Response.json({
            devices: ["1", "2"].map((id) => ({
              id,
              nodeId: id,
              addresses: [`100.64.0.${id}`],
              connectedToControl: true,
              lastSeen: new Date().toISOString(),
            })),
          });
        }
        return Response.json({ attributes: { "custom:exo_node_port": "7000" } });
      });
      const key = `${directory}/key`;
      await Deno.writeTextFile(key, "tskey-e2e\n");
      await using b = machine.up(
        "B",
        "--discovery=udp,tailscale",
        `--tailscale=${command}`,
        `--tailscale-api-key=${key}`,
        `--tailscale-api=http://127.0.0.1:${api.addr.port}`,
      );
      await ready(b);
      await eventually(async () => {
        const status = await machine.askJson<NetworkStatus>("B", "status");
        return status.unreached.some((one) => one.address === "gpu.tail.ts.net:7000");
      }, { what: "the port from the attributes" });
      await eventually(
        () => written.includes("/api/v2/device/1/attributes/custom:exo_node_port"),
        { what: "our own attributes" },
      );
      assertEquals(written.some((path) => path.includes("/device/2/")), false);
    });
  },
});

Deno.test("the doctor says what is wrong, about all and about one, and ends with 1 for an error", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const none = await machine.ask("A", "doctor");
    assertEquals([none.code, none.stderr], [1, ""]);
    assertStringIncludes(none.stdout, "none runs");

    await using a = machine.up("A", "--peer=127.0.0.1:1");
    await using b = machine.up("B");
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    let found: Finding[] = [];
    await eventually(async () => {
      found = await machine.askJson<Finding[]>("A", "doctor", "B");
      return found.some(({ subject }) => subject === "address 127.0.0.1:1");
    }, { what: "the listed address that does not answer" });
    const shown = found.map(({ severity, subject }) => `${severity} ${subject}`);
    assertEquals(shown.includes("ok peer B"), true, shown.join("\n"));

    const missing = await machine.ask("A", "doctor", "tv");
    assertEquals(missing.code, 1);
    assertStringIncludes(missing.stdout, "peer tv: nothing was ever heard of it");
    const wrong = await machine.ask("A", "doctor", "one", "two");
    assertEquals(wrong.code, 2);
  });
});
