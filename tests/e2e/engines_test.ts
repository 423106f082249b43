/** An engine beside one node, seen from another: two real processes, and an Ollama of the test's. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { NetworkModel } from "../../src/network/catalog.ts";
import type { Finding } from "../../src/network/diagnosis_facts.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { OllamaEngine } from "../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { embeddingModel, testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { hanzo, peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { startProcess } from "../support/process.ts";
import { withTempDir } from "../support/temp.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

Deno.test("the models of a device's engines are known on all devices, and gone with their engine", async () => {
  await using ollama = await new OllamaEngine({
    models: [testModel("llama3.2:latest"), embeddingModel("nomic:latest", { loaded: false })],
  }).start();
  await using cloud = await new OpenAiEngine({
    flavour: "openai",
    key: "hunter2",
    models: [testModel("gpt-4o-mini")],
  }).start();
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const a = startProcess(
      Deno.execPath(),
      machine.upArgs(
        "A",
        `--engine=${ollama.url}`,
        `--engine=${cloud.url}/v1#key-env=CLOUD_KEY&last-resort=true`,
      ),
      { env: { CLOUD_KEY: "hunter2" } },
    );
    await using _ = a;
    await ready(a);
    await using b = machine.up("B");
    await ready(b);
    await peerEvent(b, "peer-joined", "A");

    const listed = () => machine.askJson<NetworkModel[]>("B", "models");
    const models = await eventually(async () => {
      const models = await listed();
      return models.length === 3 ? models : undefined;
    }, { what: "three models" });
    assertEquals(
      models.map(({ name, devices }) => [
        name,
        ...devices.map(({ nodeId, engine, loaded, lastResort, contextLength }) =>
          [nodeId, engine, loaded, lastResort, contextLength].join()
        ),
      ]),
      [
        ["gpt-4o-mini", "A,openai,true,true,"],
        ["llama3.2:latest", "A,ollama,true,false,4096"],
        ["nomic:latest", "A,ollama,false,false,2048"],
      ],
    );
    const { stdout } = await machine.ask("B", "models");
    assertMatch(
      stdout,
      /llama3\.2:latest +A +yes +2 GB +3\.21B +4k +Q4_K_M +chat, tools +ollama\n/,
    );
    assertMatch(stdout, /gpt-4o-mini +A +.* +openai, last resort\n/);
    const status = await machine.askJson<NetworkStatus>("B", "status");
    assertEquals(status.peers.A.models.toSorted(), models.map(({ name }) => name));
    assertStringIncludes((await machine.ask("A", "status")).stdout, "Models: 3 here (2 loaded).");

    const findings = await machine.askJson<Finding[]>("A", "doctor");
    const about = findings.filter(({ subject }) => subject.startsWith("engine"));
    assertEquals(about.map(({ severity, subject, message }) => [severity, subject, message]), [
      ["ok", `engine ${ollama.url}`, "Ollama 0.12.3 has 2 models"],
      ["ok", `engine ${cloud.url}/v1`, "A server of OpenAI's protocol has 1 model"],
    ]);

    // Where they are, and the key, is nobody else's business.
    const everything = JSON.stringify([models, status, b.stderrText()]);
    for (const secret of ["hunter2", `:${ollama.port}`, `:${cloud.port}`]) {
      assertEquals(everything.includes(secret), false, secret);
    }
    assertEquals(a.stderrText().includes("hunter2"), false);

    await ollama.stop();
    await eventually(async () => (await listed()).length === 1, {
      what: "the engine's end",
      timeoutMs: 8_000,
    });
    a.kill("SIGTERM");
    assertEquals((await a.status).code, 0);
  });
});

Deno.test("a wrong --engine is said before anything is started, without what may be a key", async () => {
  const { code, stderr } = await hanzo(["up", "--engine=https://example.com/v1#hunter2"]);
  assertEquals(code, 2);
  assertMatch(stderr, /Cannot use an engine: behind the # of an engine's URL stand key-env=NAME/);
  assertEquals(stderr.includes("hunter2"), false);
});

Deno.test("engines are named in the settings' file and in the environment, too", async () => {
  await using ollama = await new OllamaEngine().start();
  await using other = await new OpenAiEngine().start();
  await withTempDir(async (directory) => {
    await Deno.writeTextFile(
      `${directory}/hanzo-network.toml`,
      `engine = ["${ollama.url}"]\nno-engines = true\n`,
    );
    const machine = new TestMachine(directory);
    const args = machine.upArgs("A").filter((arg) => arg !== "--no-engines");
    for (
      const [env, kind] of [[{}, "ollama"], [{ HANZO_NETWORK_ENGINE: other.url }, "vllm"]] as const
    ) {
      await using node = startProcess(Deno.execPath(), args, { cwd: directory, env });
      await ready(node);
      await eventually(async () => {
        const models = await machine.askJson<NetworkModel[]>("A", "models");
        return `${models.map(({ devices }) => devices.map(({ engine }) => engine))}` === kind;
      }, { what: `the model of ${kind}` });
    }
  });
});

Deno.test("the permission set of up is all that engines of this machine need", async () => {
  await using ollama = await new OllamaEngine().start();
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const paths = ["read", "write"].map((kind) => `--allow-${kind}=${directory}`);
    const args = machine.upArgs("A", `--engine=${ollama.url}`)
      .flatMap((arg) => arg === "--allow-all" ? ["-P=up", ...paths] : [arg]);
    await using node = startProcess(Deno.execPath(), args, { cwd: ROOT });
    await ready(node);
    await eventually(async () => (await machine.askJson<unknown[]>("A", "models")).length === 1, {
      what: "its model",
    });
    // The paths of the set are not those of the test.
    assertEquals(node.stderrText().match(/--allow-(?!read)\S+/g), null);
  });
});
