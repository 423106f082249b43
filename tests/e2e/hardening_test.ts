/** What must not happen to a node, or to its token, from outside. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { hanzo, peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("a proxy of the environment is never handed the token of a node", async () => {
  await withTempDir(async (directory) => {
    let asked = 0;
    await using proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      asked++;
      return new Response("no", { status: 502 });
    });
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await ready(a);
    const url = `http://127.0.0.1:${proxy.addr.port}`;
    const env = { HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url, ALL_PROXY: url };
    for (
      const denoArgs of [
        ["--allow-all"],
        // Where it may not say which hosts need no proxy.
        [`--allow-read=${directory},hanzo-network.toml`, "--allow-net", "--allow-env=HANZO_*"],
      ]
    ) {
      const { code, stderr } = await hanzo(["status", `--data-dir=${directory}`], {
        env,
        denoArgs,
      });
      assertEquals([code, stderr, asked], [0, "", 0]);
    }
  });
});

Deno.test("a promise of an agent that nobody awaits ends neither its node nor the next one", async () => {
  await withTempDir(async (directory) => {
    const agents = `${directory}/agents.ts`;
    await Deno.writeTextFile(
      agents,
      `import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      export default createAgent({
        name: "careless",
        description: "Forgets a promise",
        run: async () => {
          Promise.reject(new Error("forgotten"));
          await new Promise((resolve) => setTimeout(resolve));
          return "done";
        },
      });`,
    );
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--agents=${agents}`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    for (let round = 0; round < 2; round++) {
      const result = await machine.askJson<RunResult>("A", "run", "x", "--agent", "careless");
      assertEquals([result.output, result.nodeId, result.attempts], ["done", "B", 1]);
    }
    assertStringIncludes(b.stderrText(), "forgotten");
  });
});

Deno.test("a node whose output nobody reads any more goes on", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = new Deno.Command(Deno.execPath(), {
      args: machine.upArgs("A"),
      env: { DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const output = a.stdout.getReader();
    await output.read();
    await output.cancel();
    // What it would tell of its peers has no reader.
    for (const peer of ["B", "C"]) {
      await using other = machine.up(peer);
      await ready(other);
      await peerEvent(other, "peer-joined", "A");
    }
    assertEquals((await machine.askJson<NetworkStatus>("A", "status")).nodeId, "A");
    a.kill("SIGTERM");
    assertEquals((await a.status).code, 0);
  });
});
