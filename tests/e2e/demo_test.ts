/** The demo, as the README has it. */

import { assertEquals, assertLess } from "@std/assert";
import { hanzo } from "../support/nodes.ts";
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
    const processes = await new Deno.Command("ps", { args: ["-eo", "args"] }).output();
    const left = new TextDecoder().decode(processes.stdout).split("\n")
      .filter((line) => line.includes(directory));
    assertEquals(left, [], "processes are left");
  });
});
