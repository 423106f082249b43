/**
 * The examples in Python, as they are: a client runs an agent on one node, which has it from another
 * one, which has it from a program in Python.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { startProcess, type TestProcess } from "../support/process.ts";
import { NO_STUBS, pythonWithStubs } from "../support/python.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url).pathname;
const hasStubs = await withTempDir(async (directory) => {
  return await pythonWithStubs(directory) !== undefined;
});

Deno.test({
  name: "a client in Python lists, runs and cancels agents in Python, over two nodes",
  ignore: skipUnless(hasStubs, NO_STUBS),
  fn: () =>
    withTempDir(async (directory) => {
      const { python, env } = (await pythonWithStubs(directory))!;
      const start = (example: string, ...args: string[]) =>
        startProcess(python, [`${EXAMPLES}${example}`, ...args], { env });
      const machine = new TestMachine(`${directory}/data`);

      const agent = start("python_agent.py", "0");
      const serving = await line(agent, "serving on ");
      const address = serving.slice("serving on ".length);
      await using near = machine.up("near");
      await using far = machine.up("far", `--agent-url=${address}`);
      const [{ grpc }] = await Promise.all([ready(near), ready(far)]);
      await peerEvent(near, "peer-joined", "far");
      const files = `${directory}/files`;
      const made = await machine.ask("near", "key", "client", "script", `--dir=${files}`);
      assertEquals([made.code, made.stderr], [0, ""]);
      for (const name of ["ca.pem", "client.pem", "client.key", "server-name"]) {
        assertEquals((await Deno.stat(`${files}/${name}`)).mode! & 0o777, 0o600);
      }

      const client = (...args: string[]) => start("python_client.py", files, grpc, ...args);
      {
        await using run = client("hello little world", "letters");
        assertEquals((await run.status).code, 0, run.stderrText());
        const said = await Array.fromAsync(run.lines());
        assert(said.includes("letters on far: Finds the commonest letter"), said.join("\n"));
        assert(said.some((one) => one.startsWith("on far, because ")), said.join("\n"));
        assertEquals(said.at(-1), "letters says: l, 5 times");
      }
      {
        await using wrong = client("far", "count");
        assertEquals((await wrong.status).code, 1);
        assertEquals(wrong.stderrText(), "INVALID_ARGUMENT: How far? Give a number.\n");
      }
      for (
        const [args, code, said] of [
          [[], 2, "usage: python_client.py DIRECTORY HOST:PORT"],
          [[`${directory}/none`, grpc], 1, "Cannot read the files of the client: "],
          [[files, "127.0.0.1:1"], 1, "UNAVAILABLE: "],
        ] as const
      ) {
        await using wrong = start("python_client.py", ...args);
        assertEquals((await wrong.status).code, code);
        assertStringIncludes(wrong.stderrText(), said);
        assertEquals(wrong.stderrText().trim().split("\n").length, 1, wrong.stderrText());
      }
      {
        await using cancelled = client("100000", "count", "cancel");
        assertEquals((await cancelled.status).code, 1);
        assertStringIncludes(cancelled.stderrText(), "CANCELLED: ");
        await line(agent, "counted");
      }
      // The program dies in the middle of a run, and is back a while later.
      await using lost = client("100000", "count");
      await lost.waitForLine((one) => one.startsWith("on far"), { what: "the choice" });
      let counts = 0;
      await agent.waitForLine((one) => one === "counting" && ++counts === 2, {
        what: "the second count",
      });
      agent.kill("SIGKILL");
      assertEquals((await lost.status).code, 1);
      assertStringIncludes(lost.stderrText(), "was lost while it ran");
      await agent[Symbol.asyncDispose]();
      const names = async () => {
        const agents = await machine.askJson<{ agent: { name: string } }[]>("near", "agents");
        return agents.map(({ agent }) => agent.name).join();
      };
      assertEquals(await names(), "assistant,calculator,monitor");
      await using again = start("python_agent.py", address.split(":")[1]);
      await line(again, "serving on ");
      await eventually(async () => await names() === "assistant,calculator,count,letters,monitor", {
        what: "the agents that are back",
      });
    }),
});

function line(of: TestProcess, beginning: string): Promise<string> {
  return of.waitForLine((one) => one.startsWith(beginning), { what: beginning });
}
