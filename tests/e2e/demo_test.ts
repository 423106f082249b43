/** The demo, as the README has it. */

import { assertEquals, assertLess } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { hanzo, programArgs } from "../support/nodes.ts";
import { startProcess } from "../support/process.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("the demo routes, falls back, and leaves no process and no file behind", async () => {
  await withTempDir(async (directory) => {
    const { code, stdout, stderr } = await hanzo(["demo", "--json"], {
      env: { TMPDIR: directory },
    });
    assertEquals([code, stderr], [0, ""]);
    const { ok, seconds, steps } = JSON.parse(stdout);
    assertEquals(ok, true);
    assertLess(seconds, 20);
    assertEquals(steps.map(({ step }: { step: string }) => step), [
      "three nodes run, each a process of its own",
      "they have found each other",
      "heavy work goes to gpu-server",
      "light work goes to macbook",
      "background work goes to raspberry-pi",
      "every device says at once what it is doing",
      "the device dies in the middle of its work, and the next best does it",
      "the dead device is gone",
    ]);
    assertEquals([...Deno.readDirSync(directory)], [], "files are left");
    assertEquals(await processesNaming(directory), [], "processes are left");
  });
});

Deno.test("a demo that is killed leaves no process behind", async () => {
  await withTempDir(async (directory) => {
    await using demo = startProcess(Deno.execPath(), programArgs("demo"), {
      env: { TMPDIR: directory },
    });
    await demo.waitForLine((line) => line.includes("found each other"), { what: "the meeting" });
    demo.kill("SIGKILL");
    await demo.status;
    await eventually(async () => (await processesNaming(directory)).length === 0, {
      what: "the end of the demo's nodes",
      timeoutMs: 10_000,
    });
  });
});

/** The command lines of all processes that name a directory. */
async function processesNaming(directory: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-eo", "args"] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(directory));
}
