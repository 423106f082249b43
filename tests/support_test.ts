/**
 * The helpers of `tests/support/`: what they promise, and how they complain.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import process from "node:process";
import { eventually } from "./support/eventually.ts";
import { startProcess, type TestProcess } from "./support/process.ts";
import { skipUnless } from "./support/skip.ts";
import { withTempDir } from "./support/temp.ts";

/** Starts a Deno program given as text. */
function startScript(source: string): TestProcess {
  return startProcess(Deno.execPath(), ["eval", "--no-config", source]);
}

const RUN_UNTIL_KILLED = `console.log("ready"); setInterval(() => {}, 1000);`;
const IGNORE_SIGTERM = `Deno.addSignalListener("SIGTERM", () => console.log("ignored"));`;

Deno.test("a process's lines can be read from the first one, any number of times", async () => {
  await using child = startScript(`console.log("one\\ntwo"); Deno.stdout.writeSync(
    new TextEncoder().encode("th\\u{1F996}ee"));`);

  assertEquals(await Array.fromAsync(child.lines()), ["one", "two", "th\u{1F996}ee"]);
  assertEquals(await Array.fromAsync(child.lines()), ["one", "two", "th\u{1F996}ee"]);
  assertEquals((await child.status).code, 0);
});

Deno.test("lines arrive while the process goes on running", async () => {
  await using child = startScript(RUN_UNTIL_KILLED);

  for await (const line of child.lines()) {
    assertEquals(line, "ready");
    break;
  }
});

Deno.test("a line that was printed before the wait is found", async () => {
  await using child = startScript(`console.log("first"); console.log("second");`);
  await child.status;

  assertEquals(await child.waitForLine((line) => line === "second", { what: "it" }), "second");
  assertEquals(await child.waitForLine((line) => line === "first", { what: "it" }), "first");
});

Deno.test("a line that does not come in time is named, with what the process wrote", async () => {
  await using child = startScript(`console.error("port taken"); ${RUN_UNTIL_KILLED}`);
  await child.waitForLine((line) => line === "ready", { what: "the start" });
  await eventually(() => child.stderrText().includes("port taken"), { what: "its complaint" });

  const error = await assertRejects(
    () => child.waitForLine(() => false, { what: "the moon landing", timeoutMs: 50 }),
    Error,
  );

  assertStringIncludes(error.message, "No line within 50 ms that is the moon landing");
  assertStringIncludes(error.message, "still running");
  assertStringIncludes(error.message, "ready");
  assertStringIncludes(error.message, "port taken");
});

Deno.test("waiting for a line ends as soon as the process does", async () => {
  await using child = startScript(`console.error("no agent"); Deno.exit(3);`);

  const error = await assertRejects(
    () => child.waitForLine(() => false, { what: "an answer", timeoutMs: 60_000 }),
    Error,
    "No line before its output ended that is an answer",
  );

  assertStringIncludes(error.message, "no agent");
  assertEquals((await child.status).code, 3);
});

Deno.test("a process is gone when its scope ends", async () => {
  let pid: number;
  {
    await using child = startScript(RUN_UNTIL_KILLED);
    await child.waitForLine((line) => line === "ready", { what: "the start" });
    pid = child.pid;
    assert(isRunning(pid));
  }
  assert(!isRunning(pid));
});

Deno.test({
  name: "a process that ignores SIGTERM is killed when its scope ends",
  ignore: skipUnless(Deno.build.os !== "windows", "Windows has no SIGTERM to ignore"),
  fn: async () => {
    let status: Promise<Deno.CommandStatus>;
    {
      await using child = startScript(IGNORE_SIGTERM + RUN_UNTIL_KILLED);
      await child.waitForLine((line) => line === "ready", { what: "the start" });
      status = child.status;
    }
    assertEquals((await status).signal, "SIGKILL");
  },
});

Deno.test({
  name: "a grandchild that keeps the output open does not keep the test",
  ignore: skipUnless(Deno.build.os !== "windows", "the test needs a POSIX shell"),
  fn: async () => {
    const started = performance.now();
    {
      await using child = startProcess("sh", ["-c", "sleep 30 & echo $!; exit 0"]);
      const sleeper = await child.waitForLine(() => true, { what: "the grandchild's pid" });
      await child.status;
      await child[Symbol.asyncDispose]();
      Deno.kill(Number(sleeper), "SIGKILL");
    }
    assertLess(performance.now() - started, 10_000);
  },
});

Deno.test("a process that has ended ignores signals", async () => {
  await using child = startScript(`console.log("done");`);
  await child.status;

  child.kill();
  child.kill("SIGKILL");
});

Deno.test("eventually returns what the check returns at last", async () => {
  let calls = 0;
  const value = await eventually(() => {
    calls++;
    if (calls === 1) throw new Error("not yet");
    return calls < 4 ? undefined : `call ${calls}`;
  }, { what: "the fourth call", intervalMs: 1 });

  assertEquals(value, "call 4");
});

Deno.test("eventually names what was missing and what the last check said", async () => {
  await assertRejects(
    () => eventually(() => false, { what: "a second peer", timeoutMs: 20, intervalMs: 1 }),
    Error,
    "Waited 20 ms for a second peer in vain: the last check returned false.",
  );
  await assertRejects(
    () =>
      eventually(() => Promise.reject(new TypeError("no status")), {
        what: "a second peer",
        timeoutMs: 20,
        intervalMs: 1,
      }),
    Error,
    "the last check threw TypeError: no status",
  );
  await assertRejects(
    () => eventually(() => new Promise(() => {}), { what: "an answer", timeoutMs: 20 }),
    Error,
    "Waited 20 ms for an answer in vain: no check came to an end.",
  );
});

Deno.test("a temporary folder is gone afterwards, also after a failure", async () => {
  const seen: string[] = [];
  const kept = await withTempDir(async (dir) => {
    seen.push(dir);
    await Deno.writeTextFile(`${dir}/file`, "text");
    return await Deno.readTextFile(`${dir}/file`);
  });
  await assertRejects(
    () =>
      withTempDir((dir) => {
        seen.push(dir);
        throw new Error("the test's own failure");
      }),
    Error,
    "the test's own failure",
  );

  assertEquals(kept, "text");
  for (const dir of seen) await assertRejects(() => Deno.stat(dir), Deno.errors.NotFound);
});

/** Whether there is a process of that id: signal 0 reaches it without doing anything. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
