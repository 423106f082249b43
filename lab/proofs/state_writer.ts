/**
 * Writes to a replica on the disk, and keeps checkpoints of it, until it is killed: `state_writer.ts
 * DIRECTORY`. Says of each write and checkpoint that it is durable, and nothing before; and of each
 * checkpoint, when it is begun, what is to be in it.
 */

import type { JsonValue } from "../../src/base/bounded_json.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { AutomaticCheckpoints } from "../../src/state/automatic_checkpoints.ts";
import { type Checkpoint, Checkpoints } from "../../src/state/checkpoints.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { openStateFile } from "../../src/state/state_file.ts";
import { type StateSnapshot, takeSnapshot } from "../../src/state/state_snapshot.ts";
import { contentSum } from "./state_content.ts";

const [directory] = Deno.args;
const file = await openStateFile({ directory, networks: ["lab"], logger: silentLogger });
const state = new StateReplica({
  nodeId: "writer",
  store: file.store,
  clock: systemClock,
  random: systemRandom,
  sync: () => file.sync(),
});
const start = Number(state.get("count") ?? 0);
console.log(`start ${start} ${state.list("log").length}`);
let writes = 0;

/** One of several that write at once, so that they share commits. */
async function write(): Promise<void> {
  for (;;) {
    const number = ++writes;
    await state.transact((tx) => {
      tx.increment("count");
      // What was appended and deleted leaves a trace, and is not to take all the time in the end.
      if (number % 20 === 0) tx.append("log", number);
      tx.set(`pair/${number % 50}/a`, number);
      tx.set(`pair/${number % 50}/b`, number);
      // Not only ever more: rows are dropped from the file, too.
      if (number % 200 === 0) tx.delete("log");
    });
    console.log(`durable ${number}`);
  }
}

let begun = "";
const checkpoints = new Checkpoints({
  directory: `${directory}/checkpoints`,
  nodeId: "writer",
  clock: systemClock,
  state: () => state,
  snapshot: () => {
    state.commit();
    return told(takeSnapshot(file.store, state.position, file.path));
  },
  room: () => 0,
});

/** Says what is in a snapshot when it has been read, and nothing of it is on the disk yet. */
function told(snapshot: StateSnapshot): StateSnapshot {
  return {
    mark: snapshot.mark,
    isBlank: snapshot.isBlank,
    *pieces() {
      const entries: [string, JsonValue][] = [];
      for (const piece of snapshot.pieces()) {
        for (const [key, json] of piece) entries.push([key, JSON.parse(json)]);
        yield piece;
      }
      begun = contentSum(entries);
      console.log(`begun ${begun}`);
    },
    [Symbol.dispose]: () => snapshot[Symbol.dispose](),
  };
}

let last: Promise<unknown> = Promise.resolve();

/** One at a time, so that what was begun last is what was saved. */
function saved(work: () => Promise<Checkpoint | undefined>): Promise<Checkpoint | undefined> {
  const saving = last.then(async () => {
    const made = await work();
    if (made !== undefined) console.log(`saved ${begun} ${made.name}`);
    return made;
  });
  last = saving;
  return saving;
}

/** Two names in turn: one gives way while the other one stays. */
async function save(): Promise<void> {
  for (let i = 0;; i++) await saved(() => checkpoints.save(`named/${i % 2}`));
}

const automatic = new AutomaticCheckpoints({
  checkpoints: {
    list: () => Promise.resolve([]),
    removeUnfinished: () => checkpoints.removeUnfinished(),
    saveByInterval: (kept) => saved(() => checkpoints.saveByInterval(kept)),
  },
  clock: systemClock,
  logger: silentLogger,
  intervalMs: 3,
  kept: { count: 3, bytes: Infinity },
});
automatic.start();

await Promise.all([write(), write(), write(), save()]);
