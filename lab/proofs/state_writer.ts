/**
 * Writes to a replica on the disk until it is killed: `state_writer.ts DIRECTORY`. Says of each write
 * that it is durable, and nothing before.
 */

import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { openStateFile } from "../../src/state/state_file.ts";

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
      tx.append("log", number);
      tx.set(`pair/${number % 50}/a`, number);
      tx.set(`pair/${number % 50}/b`, number);
      // Not only ever more: rows are dropped from the file, too.
      if (number % 200 === 0) tx.delete("log");
    });
    console.log(`durable ${number}`);
  }
}

await Promise.all([write(), write(), write()]);
