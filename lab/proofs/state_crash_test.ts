/** A process that is killed while it writes: what it said was durable is there. */

import { assert, assertEquals } from "@std/assert";
import { silentLogger } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openStateFile } from "../../src/state/state_file.ts";
import { shownValue } from "../../src/state/key_value.ts";
import { withTempDir } from "../../tests/support/temp.ts";

/** `HANZO_KILLS=500 deno task lab:proofs` for the long form. */
const KILLS = Number(Deno.env.get("HANZO_KILLS") ?? 25);
const SEED = Number(Deno.env.get("HANZO_SEED") ?? 1);

/** Runs the writer for so many milliseconds after its first word, and returns its words. */
async function killedAfter(directory: string, ms: number): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-check",
      import.meta.resolve("./state_writer.ts"),
      directory,
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    timer ??= setTimeout(() => child.kill("SIGKILL"), ms);
  }
  clearTimeout(timer);
  await child.status;
  // The last line may be a part of one.
  return text.slice(0, text.lastIndexOf("\n")).split("\n");
}

Deno.test(`killed ${KILLS} times while it writes, with seed ${SEED}: nothing that was durable is lost`, async () => {
  const random = seededRandom(SEED);
  await withTempDir(async (directory) => {
    let least = 0;
    let durable = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const [start, ...lines] = await killedAfter(directory, random.next() * 60);
      assertEquals(start.split(" ")[0], "start");
      assert(Number(start.split(" ")[1]) >= least, `${start}, and ${least} were durable`);
      least = Number(start.split(" ")[1]) + lines.length;
      durable += lines.length;
    }
    assert(durable > KILLS, "hardly anything was written");
    const file = await openStateFile({ directory, networks: ["lab"], logger: silentLogger });
    const value = (key: string) => shownValue(file.store.rowsOf(key));
    assert(Number(value("count")) >= least);
    // Of a transaction all is there, or nothing.
    for (let pair = 0; pair < 50; pair++) {
      assertEquals(value(`pair/${pair}/a`), value(`pair/${pair}/b`));
    }
    file.store[Symbol.dispose]();
    await file.close();
  });
});
