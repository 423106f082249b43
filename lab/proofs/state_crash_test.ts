/**
 * A process that is killed while it writes and keeps checkpoints: what it said was durable is there,
 * every checkpoint that is listed is whole, and those that were said to be kept are listed.
 */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { removeUnfinished } from "../../src/base/private_file.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Checkpoints } from "../../src/state/checkpoints.ts";
import { openStateFile } from "../../src/state/state_file.ts";
import { shownValue } from "../../src/state/key_value.ts";
import { Replica } from "../../tests/support/replicas.ts";
import { withTempDir } from "../../tests/support/temp.ts";
import { contentSum } from "./state_content.ts";

/** `HANZO_KILLS=500 deno task lab:proofs` for the long form. */
const KILLS = Number(Deno.env.get("HANZO_KILLS") ?? 25);
const SEED = Number(Deno.env.get("HANZO_SEED") ?? 1);
/** What the writer keeps of those by interval. */
const KEPT = 3;

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

/** What the checkpoints of a directory hold, each restored into an empty state, by name. */
async function contents(directory: string): Promise<Map<string, string>> {
  using replica = new Replica(1);
  const checkpoints = new Checkpoints({
    directory,
    nodeId: "judge",
    clock: systemClock,
    state: () => replica.state,
    snapshot: () => replica.snapshot(),
    room: () => Infinity,
  });
  const found = new Map<string, string>();
  // Those that the restores here make are none of the writer's.
  const listed = (await checkpoints.list()).filter(({ nodeId }) => nodeId === "writer");
  for (const { name } of listed) {
    const { before } = await checkpoints.restore(name);
    if (before !== null) await checkpoints.delete(before);
    found.set(name, contentSum(replica.shown()));
  }
  return found;
}

/** What nobody is writing any more goes; returns how many there were. */
async function removeLeftovers(directory: string): Promise<number> {
  const unfinished = async () =>
    (await Array.fromAsync(Deno.readDir(directory)).catch(() => []))
      .filter(({ name }) => name.endsWith(".new")).map(({ name }) => `${directory}/${name}`);
  const left = await unfinished();
  // As if a minute had passed.
  const then = new Date(Date.now() - 120_000);
  for (const path of left) await Deno.utime(path, then, then);
  if (left.length > 0) await removeUnfinished(directory);
  assertEquals(await unfinished(), []);
  return left.length;
}

Deno.test(`killed ${KILLS} times while it writes and keeps checkpoints, with seed ${SEED}: nothing that was durable is lost`, async () => {
  const random = seededRandom(SEED);
  await withTempDir(async (directory) => {
    const kept = `${directory}/checkpoints`;
    let least = 0;
    let durable = 0;
    let saved = 0;
    let leftovers = 0;
    /** By name, what was last said to be kept. */
    let acknowledged = new Map<string, string>();
    for (let kill = 0; kill < KILLS; kill++) {
      const [start, ...lines] = await killedAfter(directory, random.next() * 120);
      assertEquals(start.split(" ")[0], "start");
      assert(Number(start.split(" ")[1]) >= least, `${start}, and ${least} were durable`);
      const writes = lines.filter((line) => line.startsWith("durable")).length;
      least = Number(start.split(" ")[1]) + writes;
      durable += writes;
      /** What a checkpoint may hold that was begun in this life. */
      const begun = new Set<string>();
      for (const line of lines) {
        const [word, sum, ...name] = line.split(" ");
        if (word === "begun") begun.add(sum);
        if (word !== "saved") continue;
        acknowledged.set(name.join(" "), sum);
        saved++;
      }
      const there = await contents(kept);
      const byInterval = [...acknowledged.keys()].filter((name) => name.startsWith("interval"));
      // Only the newest of those by interval stay; while one is being made, one less than was said.
      const expected = [
        ...[...acknowledged.keys()].filter((name) => name.startsWith("named")),
        ...byInterval.slice(1 - KEPT),
      ];
      for (const name of expected) assert(there.has(name), `${name} was kept and is not there`);
      for (const [name, sum] of there) {
        const isAsSaved = acknowledged.get(name) === sum;
        assert(isAsSaved || begun.has(sum), `${name} holds what nobody has kept under it`);
      }
      // One that was begun and not told of is one that the next life begins with.
      acknowledged = new Map([...acknowledged].filter(([name]) => there.has(name)));
      for (const [name, sum] of there) acknowledged.set(name, sum);
      leftovers += await removeLeftovers(kept);
    }
    assert(durable > KILLS, "hardly anything was written");

    assert(saved > KILLS / 4, "hardly anything was kept");
    if (KILLS >= 100) assert(leftovers > 0, "no kill has hit a file that was being written");
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
