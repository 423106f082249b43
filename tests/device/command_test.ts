import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { createCommandRunner, mayRun, runCommand } from "../../src/device/command.ts";

const deno = Deno.execPath();
/** Every system has it on its `PATH`. */
const SHELL = Deno.build.os === "windows" ? "cmd" : "sh";
const evaluate = (code: string) => ["eval", "--no-lock", "--quiet", code];

Deno.test("a command's output and exit code come back", async () => {
  const code = `console.log("hello"); Deno.exit(3)`;
  assertEquals(await runCommand(deno, evaluate(code), { timeoutMs: 20_000 }), {
    code: 3,
    stdout: "hello\n",
  });
});

Deno.test("a command sees the language C and none of this program's secrets", async () => {
  Deno.env.set("HANZO_TEST_SECRET", "secret");
  try {
    const code = `console.log(Deno.env.get("LC_ALL"), Deno.env.get("HANZO_TEST_SECRET"))`;
    const { stdout } = await createCommandRunner()(deno, evaluate(code), { timeoutMs: 20_000 });
    assertEquals(stdout, "C undefined\n");
  } finally {
    Deno.env.delete("HANZO_TEST_SECRET");
  }
});

Deno.test("a command that hangs is killed at its timeout, even if it ignores SIGTERM", async () => {
  const directory = await Deno.makeTempDir();
  const pidFile = `${directory}/pid`;
  const clock = new ManualClock();
  try {
    const code = `
      Deno.addSignalListener("SIGTERM", () => {});
      Deno.writeTextFileSync(${JSON.stringify(`${pidFile}.new`)}, String(Deno.pid));
      Deno.renameSync(${JSON.stringify(`${pidFile}.new`)}, ${JSON.stringify(pidFile)});
      setInterval(() => {}, 1000);
    `;
    const running = createCommandRunner({ clock })(deno, evaluate(code), { timeoutMs: 2000 });
    const failing = assertRejects(() => running, NetworkError);
    const pid = await contentOf(pidFile);
    await clock.advance(2000);
    assertEquals((await failing).code, "DEADLINE_EXCEEDED");
    assert(!isRunning(Number(pid)), "the child outlived its timeout");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a command that prints without end is stopped at the bound", async () => {
  const run = createCommandRunner({ maxOutputBytes: 10_000 });
  const code = `for (;;) console.log("x".repeat(1000))`;
  const error = await assertRejects(
    () => run(deno, evaluate(code), { timeoutMs: 20_000 }),
    NetworkError,
  );
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
});

Deno.test("a command stops when its caller gives up, and does not start when he has", async () => {
  const controller = new AbortController();
  const running = runCommand(deno, evaluate("setInterval(() => {}, 1000)"), {
    timeoutMs: 20_000,
    signal: controller.signal,
  });
  controller.abort();
  assertEquals((await assertRejects(() => running, NetworkError)).code, "CANCELLED");
  const late = () => runCommand(deno, [], { timeoutMs: 20_000, signal: controller.signal });
  assertEquals((await assertRejects(late, NetworkError)).code, "CANCELLED");
});

Deno.test({
  name: "without permission a command that is there is told from one that is not",
  permissions: { run: false },
  async fn() {
    const code = (command: string) =>
      assertRejects(() => runCommand(command, [], { timeoutMs: 1_000 }), NetworkError)
        .then(({ code, message }) => [code, message]);
    assertEquals(await code(SHELL), [
      "PERMISSION_DENIED",
      `Cannot run ${SHELL}: not allowed. Grant it with --allow-run=${SHELL}.`,
    ]);
    assertEquals((await code("no-such-command-here"))[0], "NOT_FOUND");
    assertEquals([mayRun(SHELL), mayRun("no-such-command-here")], [false, true]);
  },
});

Deno.test("a command that does not exist is NOT_FOUND, with a sentence that says so", async () => {
  const error = await assertRejects(
    () => runCommand("hanzo-no-such-tool", [], { timeoutMs: 1000 }),
    NetworkError,
  );
  assertEquals(error.code, "NOT_FOUND");
  assert(error.message.includes("not installed"));
});

Deno.test("bytes that are no UTF-8 do not break the output", async () => {
  const code = `Deno.stdout.writeSync(new Uint8Array([0x61, 0xff, 0x62]))`;
  const { stdout } = await runCommand(deno, evaluate(code), { timeoutMs: 20_000 });
  assertEquals(stdout, "a\ufffdb");
});

function isRunning(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

/** What the file holds, as soon as there is one; at most 20 seconds from now. */
async function contentOf(path: string): Promise<string> {
  for (let i = 0; i < 2000; i++) {
    try {
      return await Deno.readTextFile(path);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  throw new Error(`${path} did not appear: the child did not start`);
}
